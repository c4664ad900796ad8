"""The daemon: finds finished videos, decides what each of them needs, and starts jobs for them.

The command line imports `daemon`, `options`, and the planner for a dry run; nothing else imports this package.
"""
