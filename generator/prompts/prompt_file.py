r"""Reads files of prompts: text with a template per line, CSV or JSONL (GUIDE.md, "Prompts from a file").

Every error names the file and the line. Templates are written in the language of `generator.prompts.grammar`.
"""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from generator.errors import PromptsError, did_you_mean
from generator.images.files import InputImages
from generator.prompts.prompt_set import Line
from generator.prompts.template import Template
from generator.settings.values import Seed, file_name

MOST_BYTES = 64 * 2**20
"""Largest file that is read."""
MAX_NAME_BYTES = 80
"""Longest name of a prompt. What is appended to it has to fit into the name of a file, too."""
_NO_PROMPT_FOLDERS = frozenset({"attention_maps", "attention_videos", "lost+found", "system volume information"})
"""Folders in which no program looks for videos (FORMAT.md, "Layout")."""


class _Row(NamedTuple):
    """The columns of one prompt, and the number of its line."""

    line: int
    columns: Mapping[str, Any]


class _SyntaxError(Exception):
    """A line that cannot be read; the caller adds the name of the file."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(f"line {line}: {problem}")


def _filled(value: object) -> object:
    """Strip text; text of only blanks counts as absent."""
    return (value.strip() or None) if isinstance(value, str) else value


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"expected text; character {error.start + 1} is half of a surrogate pair") from None
    return text


def _prompt_name(name: str) -> str:
    file_name(name, most_bytes=MAX_NAME_BYTES)
    if not (name[0].isalnum() or name[0] == "_") or name.casefold() in _NO_PROMPT_FOLDERS:
        raise ValueError("expected a name that begins with a letter, a digit or `_`; it becomes that of a folder")
    return name


class _Columns(BaseModel):
    """What a prompt may have."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: Annotated[str, BeforeValidator(_filled)]
    negative: Annotated[str, AfterValidator(_encodable)] | None = None
    seed: Annotated[Seed | None, BeforeValidator(_filled)] = None
    image: Annotated[str | None, BeforeValidator(_filled)] = None
    last_image: Annotated[str | None, BeforeValidator(_filled)] = None
    name: Annotated[
        Annotated[str, AfterValidator(_encodable), AfterValidator(_prompt_name)] | None, BeforeValidator(_filled)
    ] = Field(default=None)


COLUMNS = tuple(_Columns.model_fields)


def read_prompt_file(path: Path) -> list[Line]:
    """Return the lines of a file of prompts, in their order.

    Raises:
        PromptsError: if it cannot be read, or a line is wrong.

    """
    readers = {"": _text_rows, ".txt": _text_rows, ".csv": _csv_rows, ".jsonl": _json_rows}
    reader = readers.get(path.suffix.casefold())
    if reader is None:
        raise PromptsError(
            f"{path}: found a file of another kind; expected `.txt` (a prompt per line), `.csv` or `.jsonl` (with the "
            f"columns {', '.join(COLUMNS)})"
        )
    text = _read(path)
    try:
        lines = [_line(path, row) for row in reader(text)]
    except _SyntaxError as error:
        raise PromptsError(f"{path}, {error}") from error
    if not lines:
        raise PromptsError(f"{path}: found no prompt; expected one per line")
    _refuse_equal_names(path, lines)
    return lines


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise PromptsError(f"the file of prompts {path} cannot be read: {error.strerror}") from error
    if len(content) > MOST_BYTES:
        raise PromptsError(f"{path}: found more than {MOST_BYTES // 2**20} MiB; split the file")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = content.count(b"\n", 0, error.start) + 1
        raise PromptsError(f"{path}, line {number}: found bytes that are not UTF-8. Save the file as UTF-8") from None
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "\0" in text:
        number = text.count("\n", 0, text.index("\0")) + 1
        raise PromptsError(f"{path}, line {number}: found a zero byte; expected text. Save the file as UTF-8")
    return text


def _text_rows(text: str) -> Iterator[_Row]:
    r"""Yield a row for each line that is neither empty nor a comment; ``\#`` begins a prompt with ``#``."""
    for number, line in enumerate(text.split("\n"), 1):
        prompt = line.strip()
        if prompt and not prompt.startswith("#"):
            yield _Row(number, {"prompt": prompt.removeprefix("\\") if prompt.startswith("\\#") else prompt})


def _csv_rows(text: str) -> Iterator[_Row]:
    """Yield a row for each record that is not empty; the first one holds the names of the columns."""
    names: list[str] | None = None
    for number, cells in _records(text):
        if not any(cell.strip() for cell in cells):
            continue
        if names is None:
            names = [cell.strip().casefold() for cell in cells]
            _refuse_other_columns(number, names)
        elif len(cells) > len(names):
            raise _SyntaxError(
                number,
                f"found {len(cells)} values, but {len(names)} columns ({', '.join(names)}). Put a value that contains "
                "a comma in quotes",
            )
        else:
            pairs = zip(names, cells, strict=False)  # what is missing at the end of a line counts as empty
            yield _Row(number, {name: cell for name, cell in pairs if cell.strip()})


def _records(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each record of a CSV file and the number of its first line."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    number = 1
    try:
        for cells in reader:
            yield number, cells
            number = reader.line_num + 1
    except csv.Error as error:
        raise _SyntaxError(number, f"this is not CSV: {error}. Look for a quote that is not closed") from error


def _refuse_other_columns(number: int, names: Sequence[str]) -> None:
    for name in names:
        if name not in COLUMNS:
            raise _SyntaxError(
                number,
                f"found a column {name!r}. {did_you_mean(name, COLUMNS)}. The first line names the columns, "
                "separated by commas",
            )
        if names.count(name) > 1:
            raise _SyntaxError(number, f"found the column {name!r} twice; expected it once")
    if "prompt" not in names:
        raise _SyntaxError(number, f"found the columns {', '.join(names)}; expected one called `prompt` among them")


def _json_rows(text: str) -> Iterator[_Row]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield _Row(number, _json_object(number, line))


def _json_object(number: int, line: str) -> dict[str, Any]:
    try:
        found = json.loads(line, object_pairs_hook=_without_repetition)
    except RecursionError as error:
        raise _SyntaxError(number, "found brackets inside brackets without end; expected a JSON object") from error
    except json.JSONDecodeError as error:
        raise _SyntaxError(number, f"this is not JSON: {error.msg} at character {error.pos + 1}") from error
    except ValueError as error:
        raise _SyntaxError(number, str(error)) from error
    if not isinstance(found, dict):
        raise _SyntaxError(number, 'found no object; expected one such as {"prompt": "a (dog)", "seed": 7}')
    for key in found:
        if key not in COLUMNS:
            raise _SyntaxError(number, f"found the key {key!r}. {did_you_mean(key, COLUMNS)}")
    return found


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"found the key {twice!r} twice; expected it once")
    return found


def _line(path: Path, row: _Row) -> Line:
    """Check one prompt and what belongs to it."""
    where = f"{path}, line {row.line}"
    try:
        columns = _Columns.model_validate(row.columns)
    except ValidationError as error:
        raise PromptsError("\n".join(f"{where}: {_complaint(details)}" for details in error.errors())) from error
    template, image = Template(columns.prompt, where), _images(path.parent, where, columns)
    return Line(template, columns.negative, columns.seed, columns.name, row.line, image)


def _images(folder: Path, where: str, columns: _Columns) -> InputImages | None:
    """Return the images of a prompt, whose paths are relative to the folder of the file of prompts."""
    if columns.image is None:
        if columns.last_image is not None:
            raise PromptsError(f"{where}: last_image: found one, but no image. Name the first one in `image`, too")
        return None
    named = [each for each in (columns.image, columns.last_image) if each is not None]
    paths = [folder / each for each in named]
    for name, path in zip(named, paths, strict=True):
        if not path.is_file():
            raise PromptsError(
                f"{where}: found no image {name!r} in {folder.absolute()}; expected a file there, or an absolute path"
            )
    return InputImages(*(str(path.absolute()) for path in paths))


def _complaint(details: Any) -> str:  # noqa: ANN401 - a TypedDict of pydantic_core
    name, found = details["loc"][0], details["input"]
    if details["type"] == "missing" or found is None:
        return "found no prompt; expected one in the column `prompt`"
    if details["type"] == "string_type":
        return f"{name}: found {found!r}; expected text"
    problem = details["msg"].replace("Input should be", "expected").removeprefix("Value error, ")
    return f"{name}: found {found!r}; {problem}"


def _refuse_equal_names(path: Path, lines: Sequence[Line]) -> None:
    first: dict[str, Line] = {}
    for line in lines:
        if line.name is None:
            continue
        other = first.setdefault(line.name.casefold(), line)
        if other is not line:
            raise PromptsError(
                f"{path}, line {line.number}: found the name {line.name!r}, which line {other.number} has too"
                f"{'' if other.name == line.name else ', in other case'}; expected different names, since each "
                "becomes that of a folder"
            )
