"""Names of outputs that no other video of the folder has (FORMAT.md, "Names of outputs").

`<video_id>_<slug>_<kind>.mp4` can mean two things: word `red_fox` of video `dog`, and word `fox` of video `dog_red`.
The video whose receipt names the file keeps the name; the other one gets a suffix, and keeps that from then on.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import count, islice
from pathlib import Path

from attnwatch.contract.documents import OutputRecord
from attnwatch.contract.kinds import OutputKind
from attnwatch.contract.receipts import Place

NAMING = ".names"
"""Name of the lock to hold from choosing names to writing the receipt that claims them; no video can be called so."""

_DIGITS = 8
_MOST_TRIED = 10


def own_names(place: Place, outputs: Sequence[OutputRecord]) -> tuple[OutputRecord, ...]:
    """Return the outputs of a rendering under names that no other video's receipt claims.

    Args:
        place: of the receipt; the caller holds the lock `NAMING` of its folder.
        outputs: as rendered, under any of their possible names.

    """
    before = place.read()
    had = {(output.token, output.kind): output.file for output in before.outputs} if before is not None else {}
    possible = {output.file: _possible(place.video_id, output) for output in outputs}
    claimed = claimed_by_others(place, (name for names in possible.values() for name in names))
    return tuple(
        output.model_copy(update={"file": _first(possible[output.file], claimed, had.get((output.token, output.kind)))})
        for output in outputs
    )


def claimed_by_others(place: Place, files: Iterable[str]) -> set[str]:
    """Return those of some files that receipts of other videos in the same folder name as their outputs."""
    wanted = set(files)
    owners = {owner for file in wanted for owner in _possible_owners(file)} - {place.video_id}
    claimed: set[str] = set()
    for owner in sorted(owners):
        receipt = replace(place, video_id=owner).read()
        claimed |= wanted & {output.file for output in receipt.outputs} if receipt is not None else set()
    return claimed


def _possible(video_id: str, output: OutputRecord) -> list[str]:
    """Return the possible names of an output, the plain one first; only its own if that is none of them."""
    names = list(islice(_names(video_id, output.token, output.kind), _MOST_TRIED))
    return names if output.file in names else [output.file]


def _names(video_id: str, slug: str, kind: str) -> Iterator[str]:
    if kind == OutputKind.COMBINED:
        yield OutputKind.COMBINED.file_name(video_id, slug)  # means one thing only, because no word is in it
        return
    yield f"{video_id}_{slug}_{kind}.mp4"
    for number in count():
        digest = hashlib.sha256(f"{video_id}\0{slug}\0{number}".encode(errors="surrogatepass")).hexdigest()
        yield f"{video_id}_{slug}_{digest[:_DIGITS]}_{kind}.mp4"


def _first(names: Sequence[str], claimed: set[str], had: str | None) -> str:
    if had is not None and had in names and had not in claimed:
        return had
    return next((name for name in names if name not in claimed), names[-1])


def _possible_owners(file: str) -> Iterator[str]:
    """Yield the identifiers of all videos that could have an output of this name."""
    parts = Path(file).stem.split("_")
    for length in range(1, len(parts) - 1):  # at least one part for the slug, and one for the kind
        yield "_".join(parts[:length])
