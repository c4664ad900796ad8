"""The command that serves the page."""

import re
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter, validators

from attnwatch.cli.exclusion import Excluded, exclusion_from
from attnwatch.cli.folder_flags import FollowLinks, Out, given, links, outputs
from attnwatch.cli.output import INTERRUPTED, OK, show
from attnwatch.errors import ConfigError
from attnwatch.report.log import console, set_up

HOST, PORT = "127.0.0.1", 8642

_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,1000}")


def view(
    folder: Path | None = None,
    /,
    *,
    host: Annotated[str, Parameter(metavar="ADDRESS")] = HOST,
    port: Annotated[int, Parameter(metavar="N", validator=validators.Number(gte=0, lte=65_535))] = PORT,
    allow_host: Annotated[tuple[str, ...], Parameter(metavar="NAME", consume_multiple=False, negative="")] = (),
    token_file: Annotated[Path | None, Parameter(metavar="FILE")] = None,
    out: Out = None,
    follow_links: FollowLinks = False,
    exclude: Excluded = (),
) -> int:
    """Serve a page that shows the batches in a folder while they grow. It writes nothing, and needs no watcher.

    Prints its address; open it in a browser. Ctrl+C ends it.

    Parameters
    ----------
    folder
        A folder, or the name of a batch in outputs/ (the newest of that name).
    host
        Address of this machine to listen at (default: 127.0.0.1). At any other than its own loopback address, the
        page asks for a token, which is part of the printed address.
    port
        Port to listen at (default: 8642); 0: any that is free.
    allow_host
        Also answer requests for this name, such as that of a proxy. The page then asks for a token.
    token_file
        Ask for the token in this file, at any address (default: a new one with each start).
    out
        Folder of outputs and receipts, if the watcher was started with `--out`.
    follow_links
        Follow links below the folder, as the watcher does if it was started with this option.
    exclude
        Leave out folders and videos of this name or path; may be repeated.

    """
    rendered_in, token = outputs(out), None if token_file is None else _token(token_file)
    root = given(folder, "view")
    import logging  # noqa: PLC0415
    import signal  # noqa: PLC0415

    from attnwatch.report.found_outputs import Surveyed  # noqa: PLC0415 - help needs nothing of it
    from attnwatch.system.permissions import unreadable  # noqa: PLC0415

    if (problem := unreadable(root)) is not None:
        raise ConfigError(problem)
    surveyed = Surveyed.of(root, rendered_in, links(follow_links), exclusion_from(exclude))
    try:
        from attnwatch.web.serve import Address, serve, server_of  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"found no {error.name}; expected it for the page; install it: pip install 'attnwatch[view]'"
        ) from error
    set_up(logging.INFO, console())
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    address = Address(host, port, allow_host, token)
    with address.listen() as listening:
        listens_at = listening.getsockname()[1]
        access = address.access(listens_at)
        show(address.url(listens_at, access))
        sys.stdout.flush()
        ended_by = serve(server_of(surveyed, access), [listening])
    return INTERRUPTED if ended_by is signal.SIGINT else OK


def _token(path: Path) -> str:
    try:
        token = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        found = f"--token-file: found {path} ({error})"
        raise ConfigError(f"{found}; expected a file with the token; check the path") from None
    if not _TOKEN.fullmatch(token):
        found = f"--token-file: found {len(token)} characters in {path}"
        expected = "16 or more letters, digits, `-` and `_`"
        raise ConfigError(f"{found}; expected {expected}; for example: openssl rand -hex 24 > token")
    return token


ALL = (view,)
