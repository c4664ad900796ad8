"""The commands about attnwatch itself: schema."""

from collections.abc import Callable
from json import dumps

from attnwatch.cli.output import OK, write
from attnwatch.errors import ConfigError


def schema(document: str = "manifest") -> int:
    """Print the JSON Schema of a document described in FORMAT.md.

    Parameters
    ----------
    document
        manifest, batch, batch-complete, failure, receipt, contact-sheets, or status (what `status --json` prints).

    """
    from attnwatch.contract.documents import DOCUMENTS, json_schema  # noqa: PLC0415

    if document not in DOCUMENTS:
        raise ConfigError(f"found {document!r}; expected one of: {', '.join(DOCUMENTS)}")
    write(dumps(json_schema(document), indent=2))
    return OK


ALL: tuple[Callable[..., int], ...] = (schema,)
