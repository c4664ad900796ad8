"""`attnwatch import`: writes manifests for the videos of older batches, and on request converts their tensors.

Old files are left unchanged. A video rendered before the import is not rendered again: its receipt is transferred to
the new manifest.
"""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from attnwatch.batches.discover import older_videos, walk
from attnwatch.batches.legacy.convert import write_safetensors
from attnwatch.batches.legacy.files import PICKLES, words_in
from attnwatch.batches.legacy.layouts import OldVideo, batch_around, old_video
from attnwatch.batches.legacy.pairing import manifest_beside
from attnwatch.batches.legacy.pickles import unpickled
from attnwatch.batches.legacy.reader import OldReader
from attnwatch.batches.legacy.video import read_old_video
from attnwatch.batches.settling import quiet_time, seconds_since
from attnwatch.contract.documents import DenoisingStep, Grid, ManifestDocument
from attnwatch.contract.manifest import Manifest, read_manifest
from attnwatch.contract.names import MANIFEST_SUFFIX, TENSOR_DIRECTORY
from attnwatch.contract.receipts import Place, describe, is_untouched, record_content
from attnwatch.errors import AttnwatchError, NotReadyError
from attnwatch.settings import Visualization, Watcher
from attnwatch.system.folders import Folder
from attnwatch.system.limits import Limits
from attnwatch.system.locks import exclusive
from attnwatch.system.roots import Root

_STRIDE = 4  # video frames per latent frame in the models behind these batches; the first frame has its own


@dataclass(frozen=True)
class Imported:
    """The result for one video.

    Attributes:
        tensors: folder of its old tensors.
        manifest: the manifest written; None if none was.
        obstacle: why no manifest was written; None if one was.
        notes: shortcomings found in the old files.

    """

    tensors: Path
    manifest: Path | None = None
    obstacle: str | None = None
    notes: tuple[str, ...] = ()


def import_batch(root: Root, settings: Watcher, *, convert: bool, trust_pickles: bool) -> Iterator[Imported]:
    """Write a manifest for each video at or below a folder that has none.

    Args:
        root: a batch, a folder of batches, or the tensor folder of one video.
        settings: settle times that decide when a video is finished, and the memory limit for opening pickles.
        convert: also write the tensors as safetensors.
        trust_pickles: open pickled tensors, which are always converted.

    """
    start = root if (batch := batch_around(root.path)) is None else Root(batch, root.links, excluded=root.excluded)
    for tensors in (path for folder in walk(root.path, start=start) for path in older_videos(folder)):
        old = old_video(tensors, start)
        if old is None:
            continue
        try:
            yield _import(old, settings, convert=convert, trust_pickles=trust_pickles)
        except (AttnwatchError, OSError) as error:
            yield Imported(tensors, obstacle=describe(error))


def _import(old: OldVideo, settings: Watcher, *, convert: bool, trust_pickles: bool) -> Imported:
    manifest = read_old_video(old, trust_pickles=trust_pickles)
    age, quiet = seconds_since(manifest.stamps().values()), quiet_time(manifest, settings)
    if 0 <= age < quiet:
        raise NotReadyError(
            f"{old.tensors}: found files changed {age:.0f} s ago; expected no change for {quiet:g} s; try again later"
        )
    target = manifest_beside(old)
    is_pickled = _is_pickled(manifest)
    source = _readable(manifest, settings) if is_pickled else nullcontext(manifest)
    # Opened before anything is read, so that a link in its way is noticed first.
    with manifest.outputs_root.folder(target.parent, create=True, parents=True) as folder:
        with source as readable, OldReader(readable) as reader:
            converted = [_convert(old, reader, folder)] if convert or is_pickled else []
            document = _document(manifest, reader, target, converted or manifest.attention)
        folder.write(target.name, _text(document).encode())
    _transfer_receipt(manifest, read_manifest(target, manifest.outputs_root))
    return Imported(old.tensors, target, notes=manifest.notes)


def _is_pickled(manifest: Manifest) -> bool:
    words = words_in(manifest.attention, manifest.root).values()
    return any(path.endswith(PICKLES) for word in words for path in word.files)


@contextmanager
def _readable(manifest: Manifest, settings: Watcher) -> Iterator[Manifest]:
    """Unpickle the tensors of a video into a temporary folder."""
    limits = Limits(Visualization().visualization_timeout, 1, settings.memory_limit)
    with tempfile.TemporaryDirectory(prefix="attnwatch-") as folder:
        yield unpickled(manifest, Path(folder), limits)


def _convert(old: OldVideo, reader: OldReader, folder: Folder) -> Path:
    with folder.folder(TENSOR_DIRECTORY, create=True) as tensors:
        name = f"{old.tensors.name}.safetensors"
        write_safetensors(reader, tensors, name)
        return tensors.path / name


def _document(manifest: Manifest, reader: OldReader, target: Path, attention: Sequence[Path]) -> ManifestDocument:
    numbers = {word.step_numbers for word in reader.words.values() if word.step_numbers}
    steps = numbers.pop() if len(numbers) == 1 else ()
    stem = target.name.removesuffix(MANIFEST_SUFFIX)  # the video's own stem, if the video is known
    return manifest.document.model_copy(
        update={
            "video": f"{stem}.mp4",
            "attention": tuple(os.path.relpath(path, target.parent) for path in attention),
            "grid": _grid(manifest, reader),
            "denoising": tuple(DenoisingStep(index=number) for number in steps),
        }
    )


def _grid(manifest: Manifest, reader: OldReader) -> Grid | None:
    """Return the grid that all words share, if its number of latent frames matches the models behind these batches."""
    grids = {word.grid for word in reader.words.values()}
    frames = manifest.document.generation.frames
    if len(grids) != 1 or frames is None:
        return None
    latent, height, width = grids.pop()
    if latent != (frames - 1) // _STRIDE + 1:
        return None
    return Grid(frames=latent, height=height, width=width, temporal_stride=_STRIDE, causal_first_frame=True)


def _text(document: ManifestDocument) -> str:
    return document.model_dump_json(exclude_none=True, exclude_defaults=True, indent=2) + "\n"


def _transfer_receipt(old: Manifest, new: Manifest) -> None:
    """Rewrite the valid receipt of an older video so that it refers to the new manifest."""
    place = Place(new.path, new.video_id, new.output_directory, root=new.outputs_root)
    if Place(old.path, old.video_id, old.output_directory).path != place.path:
        return
    receipt = place.read()
    if receipt is None or receipt.status != "rendered" or receipt.manifest_sha256 != old.sha256:
        return
    stamps = old.stamps()
    if receipt.inputs != old.inputs() or not is_untouched(receipt, stamps):
        return
    known = dict(zip((old.video, *old.attention), old.names, strict=True))
    digests = {}
    for name in new.names:
        path = Path(os.path.normpath(new.folder / name))
        record = receipt.content.get(known.get(path, ""))
        digest = record.sha256 if record else new.digest(name) if path.exists() else None
        if digest is not None:
            digests[name] = digest
    update = {
        "manifest": new.path.name,
        "manifest_sha256": new.sha256,
        "inputs": new.inputs(),
        "content": record_content(new.stamps(), digests),
    }
    with place.open() as folder, exclusive(folder, place.video_id):
        place.write(receipt.model_copy(update=update))
