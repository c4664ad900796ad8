"""Reports to people and other programs: log, activity files, metrics, hooks, and the status of a folder.

Import `reporter` to report a run, `log` to set up logging, `survey` and `status` to read the state of a folder.
"""
