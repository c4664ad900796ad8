import pytest

import attnwatch
from attnwatch.errors import (
    ConfigError,
    ManifestError,
    UnknownNameError,
)
from attnwatch.jobs.measures import measures_of
from tests import support
from tests.support import GRID, Batch


def opened(batch):
    return attnwatch.open(batch.folder)


def test_a_batch_maps_names_to_videos_in_order_of_path(batch):
    for prompt, number in [(2, 1), (1, 2), (1, 1)]:
        batch.add(number, prompt=prompt, tensors={}, source=False, attention=[])
    videos = opened(batch)
    assert list(videos) == ["prompt_001_vid001", "prompt_001_vid002", "prompt_002_vid001"]
    assert len(videos) == 3
    assert "prompt_002_vid001" in videos
    assert "prompt_002_vid002" not in videos
    assert 1 not in videos
    assert videos.get("prompt_002_vid002") is None
    assert {name: video.video_id for name, video in videos.items()} == {name: name for name in videos}
    assert repr(videos) == f"<Batch {str(batch.folder)!r}: 3 videos>"


def test_a_manifest_is_read_when_its_video_is_accessed(batch):
    path = batch.add(tensors={}, source=False, attention=[], generation={"prompt": "before"})
    videos = opened(batch)
    support.write_manifest(path, attention=[], generation={"prompt": "after"})
    assert videos["prompt_001_vid001"].prompt == "after"


def test_a_video_is_found_by_the_name_in_its_manifest(batch):
    batch.add(1, tensors={}, source=False, attention=[], video_id="prompt_001_vid002")
    batch.add(2, tensors={}, source=False, attention=[], video_id="dog")
    videos = opened(batch)
    assert videos["dog"].manifest.path.name == "video_002.complete.json"
    assert videos["prompt_001_vid002"].manifest.path.name == "video_001.complete.json"
    assert list(videos) == ["prompt_001_vid002", "dog"]
    assert "prompt_001_vid001" not in videos


def test_a_damaged_manifest_is_listed_and_does_not_affect_other_videos(batch):
    batch.add(1, tensors={}, source=False, attention=[])
    (batch.prompt() / "video_002.complete.json").write_text("{")
    videos = opened(batch)
    assert list(videos) == ["prompt_001_vid001", "prompt_001_vid002"]
    assert videos["prompt_001_vid001"].words == ()
    assert "prompt_001_vid002" in videos
    with pytest.raises(ManifestError, match="invalid JSON"):
        videos["prompt_001_vid002"]


def test_an_unknown_video_is_a_key_error_that_names_the_nearest(batch):
    for number in (1, 2, 3, 4):
        batch.add(number, prompt=7, tensors={}, source=False, attention=[])
    batch.add(5, prompt=7, tensors={}, source=False, attention=[], video_id="umbrella")
    with pytest.raises(KeyError) as caught:
        opened(batch)["prompt_07_vid001"]
    assert isinstance(caught.value, UnknownNameError)
    message = str(caught.value)
    assert message.startswith(f"{batch.folder}: found no video 'prompt_07_vid001'; expected one of 5, nearest: ")
    nearest = message.partition("nearest: ")[2].split(", ")
    assert nearest[0] == "prompt_007_vid001"
    assert len(nearest) == 3
    assert "umbrella" not in nearest


def test_a_batch_without_a_finished_video_is_empty(batch):
    videos = opened(batch)
    assert (len(videos), list(videos)) == (0, [])
    with pytest.raises(UnknownNameError, match="expected a finished video, but there is none"):
        videos["prompt_001_vid001"]


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"found nothing at .*/absent, and .*; expected .*; check the name"):
        attnwatch.open(tmp_path / "absent")


def test_what_is_excluded_is_not_in_the_batch(batch):
    batch.add()
    batch.add(2)
    assert list(attnwatch.open(batch.folder, exclude=["**/prompt_001/video_002.*"])) == ["prompt_001_vid001"]
    with pytest.raises(ConfigError, match="exclude: found"):
        attnwatch.open(batch.folder, exclude=["/outputs"])


def test_a_relative_folder_stays_the_same_when_the_working_directory_changes(batch, tmp_path, monkeypatch):
    batch.add(tensors={}, source=False, attention=[])
    monkeypatch.chdir(tmp_path)
    videos = attnwatch.open("outputs")
    monkeypatch.chdir("/")
    assert videos["prompt_001_vid001"].words == ()


def test_a_name_that_two_batches_share_is_ambiguous(tmp_path):
    for name in ("first_20260102_030405", "second_20260102_030405"):
        Batch.make(tmp_path, name).add(tensors={}, source=False, attention=[])
    videos = attnwatch.open(tmp_path)
    places = (
        r"found 'prompt_001_vid001' twice, in first_2026\S+ and second_2026\S+; expected one batch; open one of them"
    )
    with pytest.raises(ConfigError, match=places):
        videos["prompt_001_vid001"]
    with pytest.raises(ConfigError, match=places):
        list(videos)


def test_a_table_of_all_videos_is_a_data_frame(batch, caplog):
    pytest.importorskip("pandas")
    batch.add_full(1, words=("kiss", "dog"))
    batch.add_full(2)
    batch.add(3, tensors={}, source=False, attention=[])

    table = opened(batch).table(words=["kiss", "dog"])

    assert table[["seed", "word"]].values.tolist() == [[42, "kiss"], [42, "dog"], [43, "kiss"]]
    assert (table.mass > 0).all()
    assert "prompt_001_vid003: not measured" in caplog.text
    assert opened(batch).table("frame", words="dog").frame.tolist() == [0, 1, 2]
    with pytest.raises(KeyError, match="nearest: kiss, dog"):
        opened(batch).table(words="kis")


def test_a_table_has_what_was_measured_in_another_folder(batch, tmp_path):
    pytest.importorskip("pandas")
    batch.add_full()
    (video,) = opened(batch).values()
    out = tmp_path / "elsewhere"
    document = measures_of(video.manifest)
    kiss = document.words["kiss"]
    told = document.model_copy(
        update={"words": {"kiss": kiss.model_copy(update={"frames": {**kiss.frames, "mass": (0.5,) * len(GRID)}})}}
    )
    (out / "attention_videos").mkdir(parents=True)
    (out / "attention_videos" / f"{video.video_id}.measures.json").write_text(told.model_dump_json())

    videos = attnwatch.open(batch.folder, rendered_in=out)

    assert opened(batch).table().mass.tolist() != [0.5]
    assert videos.table().mass.tolist() == videos.where(word="kiss").table().mass.tolist() == [0.5]
    with pytest.raises(ConfigError, match="rendered_in: found no folder"):
        attnwatch.open(batch.folder, rendered_in=tmp_path / "nowhere")


def test_a_table_of_a_level_that_does_not_exist_is_refused(batch):
    with pytest.raises(ConfigError, match="level: found 'frames'; expected one of: video, frame, step, head"):
        opened(batch).table(level="frames")


def test_a_table_of_nothing_that_can_be_measured_is_an_error(batch):
    pytest.importorskip("pandas")
    batch.add(tensors={}, source=False, attention=[])
    with pytest.raises(ConfigError, match="found no video that can be measured; expected one; the log says why"):
        opened(batch).table()


def test_videos_are_chosen_by_what_they_are(batch):
    for number, (side, seed) in enumerate([("left", 1), ("right", 1), ("left", 2)], start=1):
        made = {"choices": [side], "seed": seed, "model": "tiny"}
        tokens = [{"slug": "kiss" if number < 3 else "a_hug", "text": "kiss" if number < 3 else "a hug"}]
        batch.add(number, tensors={}, source=False, attention=[], generation=made, tokens=tokens)
    videos = opened(batch)

    def chosen(**asked):
        return [name[-1] for name in videos.where(**asked)]

    assert chosen(choice="left") == ["1", "3"]
    assert chosen(choice=["left", "right"], seed=1) == ["1", "2"]
    assert chosen(word="a hug") == chosen(word="a_hug") == ["3"]
    assert chosen(seed=[1, 2], model="tiny", choice="left", word="kiss") == ["1"]
    assert chosen(seed=3) == []
    assert chosen() == ["1", "2", "3"]
    assert videos.where(seed=2)._ipython_key_completions_() == ["prompt_001_vid003"]
    assert (videos["prompt_001_vid003"].seed, videos["prompt_001_vid003"].choices) == (2, ("left",))


def test_a_batch_is_opened_by_its_name(batch, monkeypatch):
    batch.add(tensors={}, source=False, attention=[])
    monkeypatch.chdir(batch.folder.parent)
    assert attnwatch.open(batch.folder.name.partition("_")[0]).folder == batch.folder


@pytest.mark.parametrize(
    ("asked", "hint"),
    [({"word": "kiss"}, "did you mean 'words'?"), ({"zzzz": 1}, "nearest of "), ({"nonfinite": "maks"}, "expected ")],
)
def test_a_wrong_setting_of_a_table_is_refused_before_a_video_is_measured(batch, caplog, asked, hint):
    with pytest.raises(ConfigError) as caught:
        opened(batch).table(**asked)
    assert hint in str(caught.value)
    assert len(str(caught.value)) < 300
    assert caplog.text == ""
