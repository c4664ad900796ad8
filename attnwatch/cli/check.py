"""`attnwatch check`: finds everything that is wrong with a batch, in terms of the files its writer wrote."""

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from operator import itemgetter
from pathlib import Path

from pydantic import BaseModel

from attnwatch.batches.discover import find_files, videos_in, walk
from attnwatch.batches.targets import home_of_root
from attnwatch.batches.videos import open_attention, read_video
from attnwatch.config import Settings, load_settings, unknown_settings
from attnwatch.contract.batch_documents import BatchCompleteDocument, BatchDocument, FailureDocument
from attnwatch.contract.manifest import Manifest, verify
from attnwatch.contract.names import BATCH_COMPLETE_FILE, BATCH_FILE, FAILURE_SUFFIX, is_manifest
from attnwatch.contract.output_names import claimed_by_others
from attnwatch.contract.reading import read_document
from attnwatch.contract.receipts import Place, describe
from attnwatch.errors import AttnwatchError, ConfigError, ContractError, ManifestError, Problem
from attnwatch.jobs.faults import explained
from attnwatch.render.source import VideoSource
from attnwatch.render.video import try_one_frame
from attnwatch.system.exclusion import NOTHING, Exclusion
from attnwatch.system.folders import Links
from attnwatch.system.limits import own_data
from attnwatch.system.roots import Root
from attnwatch.tensors.reader import Part

_BATCH_DOCUMENTS: dict[str, type[BaseModel]] = {
    BATCH_FILE: BatchDocument,
    BATCH_COMPLETE_FILE: BatchCompleteDocument,
}


Identifiers = dict[tuple[Path, str], Path]
"""The manifest of each folder of outputs and identifier."""


def check(
    path: Path, links: Links = Links.NONE, linked: list[Path] | None = None, excluded: Exclusion = NOTHING
) -> Iterator[tuple[Path, list[str]]]:
    """Yield each document at or below a path with its problems; an empty list means the document is valid.

    Reads every tensor, decodes every video to the end, and encodes one frame.

    Args:
        path: a folder or a manifest.
        links: which links are followed below the folder.
        linked: takes the links to folders that are not followed.
        excluded: what is left out below the folder.

    """
    root = Root(path.parent if path.is_file() else home_of_root(path), links, excluded=excluded)
    for document, model in sorted(_batch_documents(path, root), key=itemgetter(0)):
        yield document, _problems(document, partial(read_document, document, model, root=root))
    identifiers: Identifiers = {}
    for folder in walk(path, start=root):
        if linked is not None:
            linked += (Path(folder.path, name) for name in folder.linked)
        for manifest_path in videos_in(folder):
            yield manifest_path, _problems(manifest_path, partial(_check_video, manifest_path, root, identifiers))


def remarks(document: Path, root: Root) -> Iterator[str]:
    """Yield what is allowed in a valid manifest, but may be a mistake."""
    if not is_manifest(document.name):
        return
    manifest = read_video(document, root)
    name = manifest.document.video
    if manifest.inputs().get(name, 0) is None:
        yield f"{name} is not there, so there will be no overlay; check the name, if it was not removed on purpose"


def _batch_documents(path: Path, root: Root) -> Iterator[tuple[Path, type[BaseModel]]]:
    for document in find_files(path, lambda name: name in _BATCH_DOCUMENTS or name.endswith(FAILURE_SUFFIX), root):
        yield document, _BATCH_DOCUMENTS.get(document.name, FailureDocument)


def _check_video(path: Path, root: Root, identifiers: Identifiers) -> list[str]:
    manifest = read_video(path, root)
    problems: list[str] = []
    other = identifiers.setdefault((manifest.output_directory, manifest.video_id), path)
    if other != path:
        problems.append(
            f"{path}: video_id: found {manifest.video_id!r}, which {other.name} has too; expected a unique one; "
            "write a different identifier to each manifest"
        )
    for step in (_read_settings, _verify, _read_all_maps, _decode_all, _own_outputs):
        problems.extend(found for found in _problems(path, partial(step, manifest)) if found not in problems)
    for step in (_compare_frames, _encode_one):
        problems = problems or _problems(path, partial(step, manifest))
    return problems


def _own_outputs(manifest: Manifest) -> None:
    """Find outputs of which versions up to 0.2.0 gave two videos the same name."""
    place = Place(manifest.path, manifest.video_id, manifest.output_directory)
    receipt = place.read()
    shared = claimed_by_others(place, (output.file for output in receipt.outputs)) if receipt is not None else set()
    if shared:
        raise ConfigError(
            f"{place.path}: outputs: found {', '.join(sorted(shared))}, which the receipt of another video names too; "
            "expected files that show one video; render both again, with --force"
        )


def _read_settings(manifest: Manifest) -> None:
    requested = manifest.document.visualization
    Settings().for_batch(requested, manifest.path)
    for note in unknown_settings(requested):
        raise ConfigError(f"{manifest.path}: visualization: {note}; see SETTINGS.md")


def _problems(path: Path, action: Callable[[], object]) -> list[str]:
    """Return the problems that an action returns or raises; whatever it is, the other documents are checked too."""
    try:
        found = action()
    except (AttnwatchError, OSError) as error:
        return _messages(error)
    except Exception as error:  # noqa: BLE001 - a file that no one foresaw must not hide what is wrong with the others
        reason = " ".join(describe(error).split())
        return [f"{path}: found data that cannot be read ({reason}); expected complete files; write them again"]
    return found if isinstance(found, list) else []


def _messages(error: AttnwatchError | OSError) -> list[str]:
    if isinstance(error, ContractError):
        return [str(problem) for problem in error.problems]
    if isinstance(error, OSError) and error.filename is not None:
        remedy = "allow it (chmod u+r, or setfacl)" if isinstance(error, PermissionError) else "check the disk"
        found = f"found a file that cannot be read ({error.strerror})"
        return [f"{error.filename}: {found}; expected one that this user can read; {remedy}"]
    return str(error).split("\n")


def _verify(manifest: Manifest) -> None:
    verify(manifest, video_may_be_absent=True)


def _read_all_maps(manifest: Manifest) -> None:
    part = Part(masked=manifest.document.visualization.get("nonfinite") == "mask")
    with (
        contextlib.suppress(FileNotFoundError),
        open_attention(manifest) as reader,
    ):  # `_verify` reports what is missing
        for word in reader.words.values():
            word.frames(part)
            for step in word.steps(part) if word.shape else ():
                step.mean()


def _decode_all(manifest: Manifest) -> None:
    with contextlib.suppress(FileNotFoundError), _source(manifest) as source:
        for _ in source.frames():
            pass


def _encode_one(manifest: Manifest) -> None:
    settings = load_settings(None, {})
    pictures, _ = settings.for_batch(manifest.document.visualization, manifest.path)
    limit = settings.watcher.memory_limit
    with tempfile.TemporaryDirectory(prefix="attnwatch-") as folder:
        try:
            try_one_frame(manifest, pictures.per_video(), Path(folder), None if limit is None else limit - own_data())
        except MemoryError as error:
            raise explained(error, manifest, limit) from error


def _compare_frames(manifest: Manifest) -> None:
    with contextlib.suppress(FileNotFoundError), _source(manifest) as source:
        frames, alignment = source.timeline.frames, source.timeline.alignment(manifest.document)
        if alignment.placement is not None:
            raise ManifestError(
                Problem(
                    file=manifest.path,
                    field="grid",
                    found=f"a grid that covers {alignment.generated:,} frames",
                    expected=f"{frames:,}, as {manifest.document.video} has",
                    remedy=f"keep the video as it was generated; otherwise {alignment.placement}",
                )
            )


@contextlib.contextmanager
def _source(manifest: Manifest) -> Iterator[VideoSource]:
    with manifest.open_file(manifest.video) as file:
        turns = manifest.document.visualization.get("rotation") == "apply"
        yield VideoSource(file, str(manifest.video), turns=turns)
