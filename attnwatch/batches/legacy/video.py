"""Describes one older video by a manifest, built from file names and small JSON files without opening tensors."""

import hashlib
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from attnwatch.batches.legacy.files import PICKLES, WordFiles, word_folders, words_in
from attnwatch.batches.legacy.jsonfile import read_object
from attnwatch.batches.legacy.layouts import SUMMARY_FILE, OldVideo
from attnwatch.batches.legacy.pairing import pair
from attnwatch.contract.documents import Generation, ManifestDocument, TokenRecord
from attnwatch.contract.manifest import Manifest
from attnwatch.contract.names import OUTPUT_DIRECTORY, unique_slugs
from attnwatch.errors import ManifestError, Problem

# Fields of a manifest that older batches never have. Each one would change the digests in their receipts.
_NEVER_THERE: Mapping[str, set[str] | bool] = {"negative_tokens": True, "generation": {"image", "last_image"}}

_MOST_NAMED = 3
# Metadata fields of older batches -> fields of `generation` in a manifest.
_GENERATION = {
    "prompt": "prompt",
    "seed": "seed",
    "cfg_scale": "guidance_scale",
    "total_steps": "steps",
    "video_width": "width",
    "video_height": "height",
    "video_frames": "frames",
}


def read_old_video(old: OldVideo, *, trust_pickles: bool = False) -> Manifest:
    """Build the manifest of an older video.

    Args:
        old: location of the video's tensors.
        trust_pickles: accept pickled tensors, which must be converted before they can be read.

    Raises:
        ManifestError: the tensors are pickles that are not trusted, or names are not valid UTF-8.
        OSError: a folder cannot be read.

    """
    folders = word_folders(old)
    words = words_in(folders, old.base)
    summary = read_object(old.tensors / SUMMARY_FILE, old.base)
    ordered = _in_prompt_order(words, summary)
    if not trust_pickles:
        _refuse_pickles(old, ordered)
    pairing = pair(old)
    missing = _missing(ordered, summary)
    try:
        document = ManifestDocument(
            format="attnwatch/1",
            video=pairing.name,
            attention=tuple(str(folder.relative_to(old.batch)) for folder in folders),
            video_id=pairing.video_id,
            tokens=_tokens(ordered),
            generation=_generation(old, ordered),
        )
        digest = hashlib.sha256(document.model_dump_json(exclude=_NEVER_THERE).encode()).hexdigest()
    except (ValidationError, ValueError) as error:
        raise ManifestError(_problem(old, "names", str(error), "names in UTF-8", "rename the files")) from None
    video = old.batch / pairing.name
    return Manifest(
        path=old.tensors,
        document=document,
        sha256=digest,
        folder=old.batch,
        video=video,
        attention=tuple(folders),
        output_directory=video.parent / OUTPUT_DIRECTORY,
        root=old.base,
        finished_by="quiet" if summary is None or missing else "summary",
        notes=tuple(chain([pairing.note] if pairing.note else [], missing)),
    )


def _in_prompt_order(words: dict[str, WordFiles], summary: Mapping[str, Any] | None) -> list[WordFiles]:
    """Return the words in the order of the summary, followed by those that it does not list."""
    order = _targets(summary)
    return sorted(words.values(), key=lambda word: order.index(word.text) if word.text in order else len(order))


def _tokens(words: list[WordFiles]) -> tuple[TokenRecord, ...]:
    slugs = unique_slugs(word.word for word in words)
    return tuple(TokenRecord(slug=slug, text=word.text) for slug, word in zip(slugs, words, strict=True))


def _missing(words: list[WordFiles], summary: Mapping[str, Any] | None) -> list[str]:
    """Return a note for each word whose files, as listed in the summary, are missing in part or entirely."""
    notes = []
    for word in words:
        steps = _listed(summary, word.text) - set(word.steps)
        if steps:
            notes.append(f"{SUMMARY_FILE} lists steps {_named(sorted(steps))} of {word.text!r}, which are missing")
    known = {name for word in words for name in (word.text, word.word)}
    absent = [word for word in _targets(summary) if word not in known and _listed(summary, word)]
    return notes + [f"{SUMMARY_FILE} lists the word {word!r}, which is missing" for word in absent]


def _targets(summary: Mapping[str, Any] | None) -> list[str]:
    """Return the tracked words listed in a summary."""
    targets = summary.get("target_tokens") if summary else None
    return [word for word in targets if isinstance(word, str)] if isinstance(targets, (dict, list)) else []


def _listed(summary: Mapping[str, Any] | None, word: str) -> set[int]:
    """Return the step numbers that a summary lists for a word, in one list for all words or in a list of its own."""
    stored = summary.get("stored_steps") if summary else None
    numbers = stored.get(word) if isinstance(stored, dict) else stored
    return {number for number in numbers if isinstance(number, int)} if isinstance(numbers, list) else set()


def _refuse_pickles(old: OldVideo, words: list[WordFiles]) -> None:
    pickles = [path for word in words for path in word.files if path.endswith(PICKLES)]
    if pickles:
        count = f"{Path(pickles[0]).name}; {len(pickles):,} in all"
        found = f"pickles ({count}), which can run arbitrary code when opened"
        expected = "tensors that hold only numbers: .npy, .npz or .safetensors"
        remedy = f"if you trust their author, `attnwatch import --trust-pickle {old.batch}` converts them"
        raise ManifestError(_problem(old, Path(pickles[0]).parent.name, found, expected, remedy))


def _generation(old: OldVideo, words: list[WordFiles]) -> Generation:
    """Return the fields found in the metadata of the first map, without invalid values."""
    described = next((word.metadata for word in words if word.files), None)
    recorded = read_object(described, old.base) if described else None
    fields = {ours: recorded[theirs] for theirs, ours in _GENERATION.items() if recorded and theirs in recorded}
    try:
        return Generation(prompt_id=old.prompt, **fields)
    except ValidationError:
        valid = {name: value for name, value in fields.items() if _is_valid(name, value)}
        return Generation(prompt_id=old.prompt, **valid)


def _is_valid(field: str, value: object) -> bool:
    try:
        Generation.model_validate({field: value})
    except ValidationError:
        return False
    return True


def _named(numbers: list[int]) -> str:
    more = f" and {len(numbers) - _MOST_NAMED:,} more" if len(numbers) > _MOST_NAMED else ""
    return ", ".join(map(str, numbers[:_MOST_NAMED])) + more


def _problem(old: OldVideo, field: str, found: str, expected: str, remedy: str) -> Problem:
    return Problem(file=old.tensors, field=field, found=found, expected=expected, remedy=remedy)
