"""The command line: one module per command, each turning arguments into one call and an exit code.

Import `attnwatch.cli.app.main` from outside; nothing else here is meant to be.
"""
