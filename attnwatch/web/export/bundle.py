"""The page's own files, changed so that a browser loads them from a folder.

Browsers load no module from `file:`. So each module stands in the page itself, as a `data:` address in an import map,
and imports the others by names that the map knows.
"""

import base64
import hashlib
import json
import posixpath
import re
from collections.abc import Iterator

from attnwatch.errors import AttnwatchError
from attnwatch.web.package import static_files

ENTRY = "main.js"

_IMPORT = re.compile(r"""(\b(?:from|import)\s*)(["'])(\.{1,2}/[^"']+)\2""")
_SCRIPT = re.compile(rf'<script type="module" src="static/{re.escape(ENTRY)}"></script>')
_NAMES = "attnwatch/"
_NOT_COPIED = (".js", ".html", ".d.ts", ".json")
_POLICY = (
    "default-src 'none'; script-src 'self' file: data: {hashes}; style-src 'self' file:; "
    "img-src 'self' file: blob: data:; media-src 'self' file: blob:; connect-src 'none'; base-uri 'none'; "
    "form-action 'none'"
)


def index_page() -> str:
    """Return the page with all of its modules, and with a policy that lets it load nothing from elsewhere."""
    files = static_files()
    text = files["index.html"].read_text(encoding="utf-8")
    if not _SCRIPT.search(text):
        raise AttnwatchError(f"index.html: found no script {ENTRY}; expected it; install attnwatch again")
    modules = {name: files[name].read_text(encoding="utf-8") for name in sorted(files) if name.endswith(".js")}
    imports = {f"{_NAMES}{name}": _as_address(rewritten(name, source)) for name, source in modules.items()}
    table = json.dumps({"imports": imports})
    start = f'import "{_NAMES}{ENTRY}";'
    hashes = " ".join(f"'sha256-{_digest(script)}'" for script in (table, start))
    scripts = (
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY.format(hashes=hashes)}">\n'
        '<meta name="attnwatch-source" content="files">\n'
        f'<script type="importmap">{table}</script>\n<script type="module">{start}</script>'
    )
    return _SCRIPT.sub(lambda _: scripts, text)


def copied_files() -> Iterator[tuple[str, bytes]]:
    """Yield the files that the page loads as they are, with their paths below it."""
    for name, file in sorted(static_files().items()):
        if not name.endswith(_NOT_COPIED):
            yield f"static/{name}", file.read_bytes()


def size_of_page() -> int:
    """Return how many bytes the page takes without its data."""
    return len(index_page().encode()) + sum(len(data) for _, data in copied_files())


def rewritten(name: str, source: str) -> str:
    """Return a module that imports others by names of the map, given its own path below `static/`."""
    above = posixpath.dirname(name)
    return _IMPORT.sub(
        lambda found: f"{found[1]}{found[2]}{_NAMES}{posixpath.normpath(posixpath.join(above, found[3]))}{found[2]}",
        source,
    )


def _as_address(source: str) -> str:
    return f"data:text/javascript;base64,{base64.b64encode(source.encode()).decode()}"


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
