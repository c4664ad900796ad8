"""The commands about attnwatch itself: settings and schema."""

from collections.abc import Callable
from json import dumps

from attnwatch.cli.flags import SettingFlags
from attnwatch.cli.output import OK, show, write
from attnwatch.errors import ConfigError

_NOTHING = SettingFlags()


def settings(*names: str, flags: SettingFlags = _NOTHING) -> int:
    """List the settings: the value of each, where it is from, and what it means.

    Parameters
    ----------
    names
        Settings to explain in more detail, by their names or parts of them (default: all, briefly).
    flags
        Options that set something.

    """
    from attnwatch.cli.listing import list_settings  # noqa: PLC0415 - help and errors of usage need no pydantic

    for line in list_settings(flags.layers(), names):
        show(line)
    return OK


def schema(document: str = "manifest") -> int:
    """Print the JSON Schema of a document described in FORMAT.md.

    Parameters
    ----------
    document
        manifest, batch, batch-complete, failure, receipt, acceptance, contact-sheets, export, measures or status.
        `status` is what `status --json` prints.

    """
    from attnwatch.contract.schemas import DOCUMENTS, json_schema  # noqa: PLC0415

    if document not in DOCUMENTS:
        raise ConfigError(f"found {document!r}; expected one of: {', '.join(DOCUMENTS)}")
    write(dumps(json_schema(document), indent=2))
    return OK


ALL: tuple[Callable[..., int], ...] = (settings, schema)
