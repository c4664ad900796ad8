"""Exchanges parts of batches for links at random times: `python -m tests.chaos.attack < plan.json`.

The plan is an object: `root` is the folder of the batches, `owner` a user and group id, or null, `seed` a number, and
`batches` a list of lists: the hidden name of a batch, its final name, the path in it that is exchanged for a link, and
what the link leads to.
"""

import contextlib
import json
import os
import random
import sys
import time
from pathlib import Path

EXCHANGES = 3  # per batch
LONGEST_WAIT, LONGEST_LINK = 0.1, 0.03  # seconds
PUT_AWAY = ".put_away"


def main() -> None:
    plan = json.load(sys.stdin)
    # Entered before the rights are given up: the owner of the batches may not be able to get here.
    os.chdir(plan["root"])
    if plan["owner"] is not None:
        user, group = plan["owner"]
        os.setgroups([])
        os.setgid(group)
        os.setuid(user)
    chance = random.Random(plan["seed"])
    for hidden, name, path, target in plan["batches"]:
        Path(hidden).rename(name)
        for _ in range(EXCHANGES):
            time.sleep(chance.uniform(0, LONGEST_WAIT))
            exchange(Path(name, path), Path(target), chance.uniform(0, LONGEST_LINK))


def exchange(path: Path, target: Path, seconds: float) -> None:
    """Put a link in the place of a file or folder for a while."""
    put_away = path.with_name(f"{path.name}{PUT_AWAY}")
    with contextlib.suppress(OSError):  # the watcher has removed it, or made a new one
        path.rename(put_away)
        path.symlink_to(target)
        time.sleep(seconds)
        path.unlink(missing_ok=True)
        put_away.rename(path)


if __name__ == "__main__":
    main()
