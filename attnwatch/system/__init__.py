"""Linux: processes, limits, locks, mounts, signals, and files that are written whole or not at all."""
