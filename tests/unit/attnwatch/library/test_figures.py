"""`Video.figure` takes the arguments of `attnwatch still`, and reads files as `attention` and `overlay` do."""

import inspect

import pytest

import attnwatch
from attnwatch.cli.still import still
from attnwatch.errors import ConfigError, ManifestError, NotReadyError, UnknownNameError
from tests import support
from tests.support import FRAMES, blob_maps, called, only_video


def texts(plot):
    return [text.get_text() for text in plot.texts]


ALIKE = [
    ({"at": "mean", "size": 3.3}, "--at mean --size 3.3"),
    (
        {"words": ["men", "kiss"], "at": 0.3, "step": -1, "scale": "each"},
        "--words men,kiss --at .3 --step=-1 --scale each",
    ),
    (
        {"words": ["kiss"], "grid": "layers", "head": [0, 2], "at": "mean"},
        "--word kiss --grid layers --head 0,2 --at mean",
    ),
    (
        {"words": ["men"], "grid": "heads", "layer": "mean", "size": 3.3},
        "--word men --grid heads --layer mean --size 3.3",
    ),
    (
        {"words": ["men"], "grid": "steps", "moments": 2, "title": False},
        "--word men --grid steps --moments 2 --no-title",
    ),
    ({"grid": "frames", "at": ["1f", 0.5], "invert": True}, "--grid frames --at 1f,.5 --set invert=true"),
]


@pytest.mark.parametrize(("arguments", "options"), ALIKE)
def test_the_figure_in_a_notebook_is_the_one_of_the_command(batch, tmp_path, capsys, arguments, options):
    words = arguments.get("words", ())
    others = {name: value for name, value in arguments.items() if name != "words"}
    tensors = {"kiss": blob_maps(steps=2, layers=2, heads=3), "men": blob_maps(steps=2, layers=2, heads=3, peak=0.25)}
    path = batch.add(tensors=tensors, visualization={"colormap": "magma"})
    shown, made = tmp_path / "shown.svg", tmp_path / "made.svg"
    only_video(batch).figure(*words, dpi=50, **others).save(shown)
    code, out, err = called(capsys, "still", path, *options.split(), "--dpi", 50, "-o", made)
    assert (code, out, err) == (0, f"{made}\n", "")
    assert made.read_bytes() == shown.read_bytes()


def test_parameters_have_the_names_and_defaults_of_the_options():
    method, command = (inspect.signature(one).parameters for one in (attnwatch.Video.figure, still))
    shared = {name for name in command if name not in ("video", "output", "flags", "words")}
    assert {"self", "words", "settings"} | shared == set(method)
    assert {name: command[name].default for name in shared} == {name: method[name].default for name in shared}


def test_a_word_is_named_as_for_attention(batch):
    tokens = [{"slug": "two_men", "text": "two men"}, {"slug": "kiss", "text": "kiss"}]
    batch.add(tensors={"two_men": blob_maps(), "kiss": blob_maps()}, tokens=tokens)
    video = only_video(batch)
    assert "“two men”" in texts(video.figure("two men", "two_men"))
    assert [text for text in texts(video.figure()) if text.startswith("“")] == ["“two men”", "“kiss”"]
    with pytest.raises(UnknownNameError, match="found no word 'dog'; expected one of: two_men, kiss"):
        video.figure("dog")


def test_a_video_without_words_has_no_figure(batch):
    batch.add(tensors={}, attention=[])
    with pytest.raises(UnknownNameError, match="found no word; expected at least one; no word was tracked"):
        only_video(batch).figure()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"step": 5}, "^steps: found 5; expected some of the stored ones: 0"),
        ({"step": "first"}, "^step: found 'first'; "),
        ({"layer": 0}, "^layers: found 0, but kiss has one map for all layers, their mean"),
        ({"head": "all"}, "^head: found 'all'; "),
        ({"at": "9s"}, "^at: found 9 s; expected 0 to"),
        ({"grid": "layers"}, "^grid: found layers, but kiss has one map for all layers, their mean.*--store-per-block"),
        ({"size": "wide"}, "^size: found 'wide'; expected a number from 1 to 30"),
        ({"colourmap": "hot"}, r"^colourmap: found an unknown setting; did you mean 'colormap'\?"),
    ],
)
def test_an_invalid_argument_is_refused_under_its_name(batch, arguments, message):
    batch.add()
    with pytest.raises(ConfigError, match=message):
        only_video(batch).figure("kiss", **arguments)


def test_a_figure_writes_nothing_into_the_batch(batch):
    batch.add_full()
    before = support.contents(batch.folder)
    only_video(batch).figure("kiss")
    assert support.contents(batch.folder) == before


def test_missing_and_changed_files_are_refused(batch):
    path = batch.add_full()
    support.write_source_video(path.with_name("video_001.mp4"), frames=FRAMES + 4, colour=(9, 9, 9))
    with pytest.raises((ManifestError, NotReadyError), match=r"video_001.mp4"):
        only_video(batch).figure("kiss")
    batch.add()
    (path.parent / "attention_maps" / "vid001.safetensors").unlink()
    with pytest.raises(NotReadyError, match=r"vid001.safetensors"):
        only_video(batch).figure("kiss")


def test_what_a_figure_lacks_is_logged(batch, caplog):
    batch.add(source=False)
    only_video(batch).figure("kiss", normalization="batch")
    absent, scale = caplog.messages
    assert absent == "prompt_001_vid001: no overlay: the video video_001.mp4 is absent"
    assert scale.startswith("prompt_001_vid001: uses this video's own scale")
