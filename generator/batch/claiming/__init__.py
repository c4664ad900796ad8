"""Makes a batch together with processes that come and go, on any number of machines: `--claim`."""
