"""What a call accepts for a file."""

from os import PathLike
from typing import TypeAlias

PathName: TypeAlias = str | PathLike[str]
