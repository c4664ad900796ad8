"""Describes an export in its document (FORMAT.md)."""

from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version

from attnwatch.contract.export_document import ExportDocument, ExportedWord
from attnwatch.contract.names import printable
from attnwatch.render.export.moments import frames_of, latent_frames_of
from attnwatch.render.export.scene import Measured, Scene
from attnwatch.tensors.reader import WordMaps


def describe(
    scene: Scene, words: Sequence[WordMaps], measured: Mapping[str, Measured], first_number: int, notes: Sequence[str]
) -> ExportDocument:
    """Return the document about an export.

    Args:
        scene: what the words have in common.
        words: the exported words.
        measured: what was measured of each of them, by slug.
        first_number: number of the first image.
        notes: remarks about the video.

    """
    manifest, settings, timeline, kind = scene.manifest, scene.settings, scene.timeline, scene.kind
    made, latent, seconds = manifest.document.generation, words[0].grid[0], timeline.seconds
    width, height = scene.picture_size(words[0])
    return ExportDocument(
        attnwatch=version("attnwatch"),
        video_id=manifest.video_id,
        video=printable(manifest.video.name),
        manifest_sha256=manifest.sha256,
        prompt=made.prompt,
        negative_prompt=made.negative_prompt,
        seed=made.seed,
        kind=kind.name,
        content="grid" if scene.grid else "frames",
        width=width,
        height=height,
        pixel_aspect=scene.pixel_aspect(words[0]).as_integer_ratio(),
        first_number=None if kind.is_film else first_number,
        rate=timeline.rate.as_integer_ratio(),
        time_base=timeline.time_base.as_integer_ratio(),
        channels=kind.channels,
        alpha=kind.alpha,
        levels=kind.levels,
        words=tuple(_word(scene, word, measured[word.slug]) for word in words),
        frames=frames_of(scene.moments, seconds, scene.alignment, latent, settings.interpolation_steps),
        latent_frames=latent_frames_of(seconds, scene.alignment, latent),
        selection={axis: getattr(settings, axis) for axis in ("steps", "layers", "heads")},
        upsampling=None if scene.grid else settings.upsampling,
        interpolation_steps=settings.interpolation_steps,
        notes=(*notes, *_notes(scene, measured)),
    )


def _word(scene: Scene, word: WordMaps, measured: Measured) -> ExportedWord:
    text = scene.manifest.document.texts.get(word.name, word.slug)
    scale = measured.scale
    return ExportedWord(slug=word.slug, text=text, files=scene.files(word), low=scale.low, high=scale.high)


def _notes(scene: Scene, measured: Mapping[str, Measured]) -> Iterator[str]:
    if scene.alignment.note is not None:
        yield scene.alignment.note
    for slug, found in measured.items():
        if found.masked:
            yield f"{slug}: {found.masked:,} values are NaN or infinite, and have the lower end of the scale instead"
