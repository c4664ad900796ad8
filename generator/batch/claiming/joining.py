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
        refuse_no_place(folder, given)
        return replace(plan_batch(given), folder=folder)
    plan = plan_resumption(folder, given, verify=verify)
    model = plan.settings.model.model_copy(update={"device": given.model.device})
    return replace(plan, settings=plan.settings.model_copy(update={"model": model}))


def refuse_no_place(folder: Path, given: Settings) -> None:
    """Raise UsageError if no batch can begin in a folder: it has other contents, or nothing is said to make."""
    try:
        found = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    except FileNotFoundError:
        found = []
    except OSError as error:
        raise UsageError(f"--claim: {folder} cannot be read as a folder: {error.strerror}") from error
    if found and BATCH_FILE not in found:
        raise UsageError(
            f"--claim: found {found[0]} and no {BATCH_FILE} in {folder}; expected the folder of one batch, or one that "
            f"does not exist yet, such as {folder / 'kiss'}"
        )
    if given.template is None and given.prompts is None:
        raise UsageError(
            f"--claim: found no {BATCH_FILE} in {folder}; expected the folder of a batch that has begun. To begin one "
            "there, say what to make with --template or --prompts"
        )
