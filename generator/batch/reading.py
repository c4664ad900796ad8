"""Reads the JSON documents of a batch, which may have been damaged since they were written."""

import json
import os
import stat
from pathlib import Path
from typing import Any

from generator.errors import DocumentError

MOST_BYTES = 256 * 2**20
"""Largest document that is read: far more than the plan of a million videos."""


def read_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in a document.

    Raises:
        FileNotFoundError: if there is nothing at the path.
        DocumentError: if it is not a regular file, too large, or does not contain a JSON object.

    """
    try:
        content = json.loads(_read(path))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DocumentError(f"{path} cannot be read: {error.strerror or error}") from error
    except RecursionError as error:
        raise DocumentError(f"{path}: found brackets inside brackets without end; expected a JSON object") from error
    except ValueError as error:
        raise DocumentError(f"{path} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise DocumentError(f"{path}: found {type(content).__name__}; expected a JSON object")
    return content


def _read(path: Path) -> bytes:
    # Opening a FIFO would wait for its writer.
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise DocumentError(f"{path}: found no regular file; expected a JSON document")
        if status.st_size > MOST_BYTES:
            raise DocumentError(f"{path}: found {status.st_size:,} bytes; expected at most {MOST_BYTES:,}")
        return file.read()
