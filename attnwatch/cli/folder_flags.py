"""The folder that a command looks into: which one, whether links in it are followed, and where its outputs are."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from attnwatch.errors import ConfigError
from attnwatch.system.folders import Links

FollowLinks = Annotated[bool, Parameter(negative="")]
Out = Annotated[Path | None, Parameter(name=["--out", "--output", "-o"], metavar="FOLDER")]


def given(path: Path | None, command: str) -> Path:
    """Return the folder that a command was given, as an absolute path. Raises `ConfigError` if there is none."""
    if path is None:
        raise ConfigError(
            f"found no folder; expected one, or the name of a batch; for example: attnwatch {command} outputs/"
        )
    from attnwatch.cli.lookup import folder  # noqa: PLC0415 - help and errors of usage need nothing of it

    return folder(path)


def links(follow: bool) -> Links:
    """Return which links below the folder are followed."""
    return Links.ALL if follow else Links.NONE


def outputs(out: Path | None) -> Path | None:
    """Return the absolute path of the folder of outputs. Raises `ConfigError` if it does not exist."""
    if out is not None and not out.is_dir():
        raise ConfigError(f"--out: found no folder {out}; expected the folder of the outputs; check the path")
    return None if out is None else out.absolute()
