"""Makes text that others wrote safe to show: in a log line, on a terminal, to the service manager.

Names of files and folders, manifests, receipts and the output of commands may contain anything: sequences that
control a terminal, characters that reverse the order of those around them, or a line break and a forged log line.
"""

import re

_UNSAFE = (
    "\x00-\x1f\x7f-\x9f"  # control characters
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # they change the direction of the text around them
    "\u2028\u2029"  # line and paragraph separators
)
_NOT_UTF8 = "\ud800-\udfff"  # bytes of file names reach Python like this
_ANY = re.compile(f"[{_UNSAFE}{_NOT_UTF8}]")
_ANY_BUT_BYTES = re.compile(f"[{_UNSAFE}]")
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def visible(text: str, *, raw_bytes: bool = False) -> str:
    r"""Return a text as one line, with everything that is unsafe to show escaped as in JSON, such as `\u001b`.

    Args:
        text: the text; if it is JSON, without line breaks, it stays valid and means the same.
        raw_bytes: keep bytes of file names that are not UTF-8, for a stream that writes them as they are.

    """
    return (_ANY_BUT_BYTES if raw_bytes else _ANY).sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    return _SHORT.get(found[0], f"\\u{ord(found[0]):04x}")
