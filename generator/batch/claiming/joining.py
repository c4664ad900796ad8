"""Plans a batch that several processes make together, for the first of them and for those that join."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from generator.batch.plan import BATCH_FILE, Plan, plan_batch
from generator.batch.resumption import plan_resumption
from generator.errors import UsageError
from generator.settings import Settings

Planned = Callable[[], Plan]
"""Plans a batch whose folder is known, as its batch file says or, if there is none yet, as a new one."""


def plan_joining(folder: Path, given: Settings, *, verify: bool = False) -> Plan:
    """Plan the batch in ``folder``: as its batch file says, or as a new one if there is none.

    Each process runs on the device that it is given, not on that of the first one.

    Raises:
        UsageError: if the settings are those of another batch, or something else is in the folder.

    """
    if not (folder / BATCH_FILE).exists():
        _refuse_other_contents(folder)
        return replace(plan_batch(given), folder=folder)
    plan = plan_resumption(folder, given, verify=verify)
    model = plan.settings.model.model_copy(update={"device": given.model.device})
    return replace(plan, settings=plan.settings.model_copy(update={"model": model}))


def _refuse_other_contents(folder: Path) -> None:
    """Raise UsageError if there are files in the folder, such as other batches."""
    try:
        found = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    except FileNotFoundError:
        return
    except OSError as error:
        raise UsageError(f"--claim: {folder} cannot be read as a folder: {error.strerror}") from error
    if found and BATCH_FILE not in found:
        raise UsageError(
            f"--claim: found {found[0]} and no {BATCH_FILE} in {folder}; expected the folder of one batch, or one that "
            f"does not exist yet, such as {folder / 'kiss'}"
        )
