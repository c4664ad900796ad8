"""Jobs on the workers of a Dask cluster, each still in a process of its own with limits and a deadline.

The watcher's side is `engine`; the workers' side is `remote`, and `host`, the process beside a worker that forks jobs.
"""
