"""One rendering, from its start in a process of its own to its receipt, and the engines that run such jobs."""
