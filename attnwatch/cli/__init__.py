"""The command line: turns arguments into one call and an exit code.

Import only `attnwatch.cli.app.main` from outside.
"""
