"""What a run tells people and other programs: the log, metrics, hooks, activity files, and the state of a folder."""
