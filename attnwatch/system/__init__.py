"""Linux: processes, limits, locks, mounts, signals, and atomic writing of files.

Knows nothing of videos; every module may be imported from outside.
"""
