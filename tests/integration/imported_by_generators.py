"""What every generator imports: imported once, by the process from which `forked_generator` forks them."""

import os
from importlib import import_module

os.environ["HF_HUB_OFFLINE"] = "1"  # read when its library is imported
for name in ("generator.cli", "generator.batch.run", "tests.integration.library_support"):
    import_module(name)
