"""File names and size limits of the contract, and how slugs and video identifiers are derived."""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import NamedTuple

MANIFEST_SUFFIX = ".complete.json"
RECEIPT_SUFFIX = ".rendered.json"
ACCEPTANCE_SUFFIX = ".accepted.json"
FAILURE_SUFFIX = ".failed.json"
EXPORT_SUFFIX = "_export.json"
MEASURES_SUFFIX = ".measures.json"
BATCH_FILE, BATCH_COMPLETE_FILE = "batch.json", "batch.complete.json"
SHEETS_FILE = "contact_sheets.json"
OUTPUT_DIRECTORY = "attention_videos"
TENSOR_DIRECTORY = "attention_maps"
SHEET_PREFIX, SHEET_SUFFIX = "contact_sheet_", ".png"
UNCONDITIONAL_PREFIX = "uncond/"
"""Begins the tensor names of words of the negative prompt, if the manifest lists them; else of what is not a word."""
_DOCUMENTS = frozenset({BATCH_FILE, BATCH_COMPLETE_FILE, SHEETS_FILE})
_DOCUMENT_SUFFIXES = (
    MANIFEST_SUFFIX,
    RECEIPT_SUFFIX,
    ACCEPTANCE_SUFFIX,
    FAILURE_SUFFIX,
    EXPORT_SUFFIX,
    MEASURES_SUFFIX,
)
MAX_ID_BYTES = 120
MAX_NAME_BYTES = 255
MAX_SLUG_BYTES = 80
MAX_WORDS = 1_000
MAX_FILES = 10_000


def is_manifest(name: str) -> bool:
    """Whether a file name is that of a manifest."""
    return name.endswith(MANIFEST_SUFFIX) and not name.startswith(".") and name != BATCH_COMPLETE_FILE


def is_receipt(name: str) -> bool:
    """Whether a file name or path is that of a receipt."""
    return name.endswith(RECEIPT_SUFFIX)


def is_document(name: str) -> bool:
    """Whether a file name is one under which a document is looked for."""
    return name in _DOCUMENTS or name.endswith(_DOCUMENT_SUFFIXES)


def printable(text: str) -> str:
    """Escape bytes of file names that are not UTF-8, which neither JSON nor a terminal accepts."""
    return text.encode("utf-8", "backslashreplace").decode()


def default_video_id(manifest: Path) -> str:
    """Derive the identifier of a video from its manifest's directory and name (FORMAT.md, "Default `video_id`")."""
    return identifier(f"{manifest.absolute().parent.name}{default_ending(manifest)}")


def default_ending(manifest: Path) -> str:
    """Return the end of the default identifier, which comes from the manifest's name: a renamed folder keeps it."""
    stem = manifest.name.removesuffix(MANIFEST_SUFFIX)
    numbered = re.fullmatch(r"video_(\d+)", stem)
    return f"_vid{numbered[1]}" if numbered else f"_{stem}"


def identifier(name: str) -> str:
    """Turn a name into a valid video identifier: replace forbidden characters by `_`, and cut it if it is too long."""
    # Bytes that are not UTF-8 reach Python as surrogates, which neither JSON nor a terminal accepts.
    name = re.sub(r"[\x00-\x1f\x7f/\ud800-\udfff]", "_", name)
    name = f"_{name[1:]}" if name.startswith(".") else name
    if len(name.encode()) <= MAX_ID_BYTES:
        return name
    return f"{_cut(name, MAX_ID_BYTES - 9)}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def slug(text: str) -> str:
    """Turn a tracked word into the name of its outputs (FORMAT.md, "Slugs")."""
    kept = (char if unicodedata.category(char)[0] in "LNM" else "_" for char in unicodedata.normalize("NFC", text))
    name = re.sub("_+", "_", "".join(kept)).strip("_")
    return _cut(name, MAX_SLUG_BYTES).rstrip("_") or "word"


def unique_slugs(texts: Iterable[str]) -> list[str]:
    """Return one slug per text, made unique by `_2`, `_3`, ...; case is ignored when slugs are compared."""
    taken: set[str] = set()
    names = []
    for base in map(slug, texts):
        name, number = base, 1
        while name.casefold() in taken:
            number += 1
            ending = f"_{number}"
            name = _cut(base, MAX_SLUG_BYTES - len(ending)) + ending
        taken.add(name.casefold())
        names.append(name)
    return names


def export_prefix(video_id: str) -> str:
    """Return what the names of the exported pictures of a video begin with."""
    return f"{re.sub('[%#]', '_', video_id)}_"  # both stand for the number in names of sequences


class Subject(NamedTuple):
    """What a contact sheet is about: a word, by its slug, or what the choices of a slot of the template do to it."""

    word: str
    slot: int | None = None

    @property
    def stem(self) -> str:
        """The usual name of its first page, without its ending."""
        differences = "" if self.slot is None else f"_differences_slot{self.slot}"
        return f"{SHEET_PREFIX}{self.word}{differences}"


def sheet_names(pages: Mapping[Subject, int]) -> dict[Subject, list[str]]:
    """Return the names of the pages of each contact sheet, given their numbers.

    The first page of a word is named by the word alone, whatever other words there are; everything else makes way: its
    further pages, then the sheets of differences.
    """
    words = {subject: number for subject, number in pages.items() if subject.slot is None}
    names = {subject: [f"{subject.stem}{SHEET_SUFFIX}"] for subject in words}
    taken = {name.casefold() for (name,) in names.values()}
    for subject, number in (words | dict(pages)).items():
        found = names.setdefault(subject, [])
        while len(found) < number:
            found.append(next(name for name in _possible(subject, len(found) + 1) if name.casefold() not in taken))
            taken.add(found[-1].casefold())
    return {subject: names[subject] for subject in pages}


def _possible(subject: Subject, page: int) -> Iterator[str]:
    """Yield the names that a page may have, the usual one first."""
    number = "" if page == 1 else f"_{page}"
    yield f"{subject.stem}{number}{SHEET_SUFFIX}"
    for ending in _nothing_or_number():
        yield f"{subject.stem}_page_{page}{ending}{SHEET_SUFFIX}"


def _nothing_or_number() -> Iterator[str]:
    yield ""
    yield from map("_{}".format, count(2))


def _cut(text: str, size: int) -> str:
    return text.encode()[:size].decode("utf-8", "ignore")
