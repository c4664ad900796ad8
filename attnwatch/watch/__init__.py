"""The daemon: finds finished videos, decides what each one needs, and starts jobs for them.

Outside, `Daemon` and `Options` are what the command line needs.
"""
