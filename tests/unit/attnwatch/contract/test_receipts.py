import hashlib
import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jsonschema
import pytest

from attnwatch.contract import fingerprint as fingerprints
from attnwatch.contract.documents import OutputRecord
from attnwatch.contract.fingerprint import RENDERER_VERSION, Fingerprint
from attnwatch.contract.kinds import OutputKind
from attnwatch.contract.names import MAX_ID_BYTES, MAX_SLUG_BYTES, MAX_WORDS
from attnwatch.contract.receipts import (
    Place,
    describe,
    failure,
    record_content,
    seconds_until_due,
    success,
)
from attnwatch.contract.schemas import json_schema
from attnwatch.contract.stamps import Stamp
from attnwatch.contract.validity import as_rendered
from attnwatch.errors import JobError, TensorError, VideoError
from attnwatch.settings import NOT_IN_VIDEOS, Visualization, Watcher
from attnwatch.system.folders import LinkError, Links
from attnwatch.system.roots import Root

OUTPUT = OutputRecord(file="a_kiss_overlay.mp4", kind="overlay", token="kiss", bytes=7, scale=(0.0, 0.5))


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path / "v.complete.json", "a", tmp_path / "attention_videos")


@pytest.fixture
def fingerprint():
    return Fingerprint.of("0" * 64, Visualization(), None, {"v.mp4": 7, "maps.safetensors": 12})


def rendered(place, fingerprint):
    place.write(success(place, fingerprint, (OUTPUT,), (), 1.5))
    return place.read()


def failed(place, fingerprint, error=None, **limits):
    place.write(failure(place, fingerprint, error or JobError("crashed"), 0.5, Watcher(**limits)))
    return place.read()


def wait_of(receipt):
    return (datetime.fromisoformat(receipt.next_attempt) - datetime.now(UTC)).total_seconds()


def test_a_missing_receipt_asks_for_a_rendering(fingerprint):
    assert seconds_until_due(None, fingerprint) == 0


def test_a_rendered_video_is_left_alone(place, fingerprint):
    assert seconds_until_due(rendered(place, fingerprint), fingerprint) is None


def test_a_video_without_tracked_words_is_left_alone(place, fingerprint):
    place.write(success(place, fingerprint, (), ("no word was tracked",), 0.1))
    assert place.read().status == "skipped"
    assert seconds_until_due(place.read(), fingerprint) is None


@pytest.mark.parametrize(
    "change",
    [
        {"manifest_sha256": "1" * 64},
        {"inputs": {"v.mp4": 8, "maps.safetensors": 12}},
        {"inputs": {"v.mp4": None, "maps.safetensors": 12}},
        {"inputs": {"maps.safetensors": 12}},
    ],
)
def test_a_changed_manifest_or_input_asks_for_a_rendering(place, fingerprint, change):
    assert seconds_until_due(rendered(place, fingerprint), replace(fingerprint, **change)) == 0


@pytest.mark.parametrize("status", ["rendered", "failed"])
def test_what_a_later_renderer_did_is_left_as_it_is(place, fingerprint, status):
    later = replace(fingerprint, renderer=RENDERER_VERSION + 1)
    receipt = rendered(place, fingerprint) if status == "rendered" else failed(place, fingerprint, max_attempts=1)
    receipt = receipt.model_copy(update={"renderer": later.renderer})
    assert seconds_until_due(receipt, fingerprint) is None
    assert seconds_until_due(receipt, later) is None


def test_a_new_renderer_version_asks_for_a_rendering(place, fingerprint):
    assert seconds_until_due(rendered(place, fingerprint), replace(fingerprint, renderer=RENDERER_VERSION + 1)) == 0


def other(name):
    """Return the default settings with one setting changed."""
    field = Visualization.model_fields[name]
    candidates = (
        not field.default,
        0.25,
        2,
        "gray",
        "fast",
        "frame",
        "apply",
        "mask",
        "uniform",
        "nearest",
        "means",
        "word",
        [1, 99],
    )
    for candidate in candidates:
        try:
            changed = Visualization(**{name: candidate})
        except ValueError:
            continue
        if changed != Visualization():
            return changed
    raise AssertionError(name)


def of_renderer_2(place, **asked):
    """Return a receipt as renderer 2 wrote it, with its own defaults."""
    settings = {"colormap": "hot", "overlay": "uniform", "overlay_alpha": 0.6, **asked}
    made = Fingerprint.of("0" * 64, Visualization(**settings), None, {})
    shaping = {name: value for name, value in made.settings.items() if name not in {"overlay", "upsampling"}}
    receipt = success(place, replace(made, settings=shaping, renderer=2), (), (), 1.0)
    return receipt.model_copy(update={"renderer": 2})


@pytest.mark.parametrize(
    ("then", "now", "due"),
    [
        ({}, {}, None),
        ({}, {"colormap": "hot"}, None),
        ({"colormap": "bone"}, {"colormap": "bone"}, None),
        ({}, {"overlay": "uniform"}, None),
        ({}, {"upsampling": "bilinear"}, None),
        ({}, {"colormap": "viridis"}, 0),
        ({}, {"overlay": "weighted"}, 0),
        ({}, {"overlay_alpha": 0.8}, 0),
        ({}, {"upsampling": "nearest"}, 0),
        ({"colormap": "bone"}, {}, 0),
    ],
)
def test_a_new_default_makes_no_receipt_of_renderer_2_stale(place, then, now, due):
    receipt = of_renderer_2(place, **then)
    assert receipt.renderer == 2
    current = Fingerprint.of("0" * 64, Visualization(**now), None, {})
    assert seconds_until_due(receipt, as_rendered(current, receipt, place)) == due


@pytest.mark.parametrize("name", Visualization.model_fields)
def test_a_setting_asks_for_a_rendering_if_and_only_if_it_shapes_videos(place, fingerprint, name):
    receipt = rendered(place, fingerprint)
    changed = Fingerprint.of(fingerprint.manifest_sha256, other(name), None, fingerprint.inputs)
    assert seconds_until_due(receipt, changed) == (None if name in NOT_IN_VIDEOS else 0)


class WithBorder(Visualization):
    """The settings of a later version that has one more."""

    border: int = 0


@pytest.fixture(params=["0.1.0", "this version"])
def older(request, place, fingerprint):
    """A receipt of an earlier version, with non-default `colormap` and `vmax`."""
    asked = Visualization(colormap="bone", vmax=1)
    receipt = rendered(place, Fingerprint.of(fingerprint.manifest_sha256, asked, None, fingerprint.inputs))
    if request.param == "0.1.0":
        digest = hashlib.sha256(json.dumps(receipt.settings, sort_keys=True).encode()).hexdigest()
        place.write(receipt.model_copy(update={"settings_sha256": digest}))
    return place.read()


@pytest.mark.parametrize(
    ("asked", "wait"),
    [
        ({"colormap": "bone", "vmax": 1.0}, None),
        ({"colormap": "bone", "vmax": 1.0, "border": 2}, 0),
        ({"colormap": "bone"}, 0),
        ({}, 0),
    ],
)
def test_a_new_setting_asks_for_a_rendering_only_where_it_is_used(older, fingerprint, monkeypatch, asked, wait):
    monkeypatch.setattr(fingerprints, "Visualization", WithBorder)
    later = Fingerprint.of(fingerprint.manifest_sha256, WithBorder(**asked), None, fingerprint.inputs)
    assert seconds_until_due(older, later) == wait


def test_a_setting_that_only_a_later_version_knows_asks_for_a_rendering(place, fingerprint, monkeypatch):
    with monkeypatch.context() as later:
        later.setattr(fingerprints, "Visualization", WithBorder)
        unknown, unused = (
            success(place, Fingerprint.of(fingerprint.manifest_sha256, asked, None, fingerprint.inputs), (), (), 0.1)
            for asked in (WithBorder(border=2), WithBorder())
        )
    assert seconds_until_due(unknown, fingerprint) == 0
    assert seconds_until_due(unused, fingerprint) is None


def test_a_receipt_whose_settings_are_missing_is_judged_by_their_digest(place, fingerprint):
    receipt = rendered(place, fingerprint)
    assert seconds_until_due(receipt.model_copy(update={"settings": {}}), fingerprint) is None
    unknown = {"settings": {}, "settings_sha256": "1" * 64}
    assert seconds_until_due(receipt.model_copy(update=unknown), fingerprint) == 0


def test_the_digest_is_that_of_the_settings_that_differ_from_their_defaults():
    made = Fingerprint.of("0" * 64, Visualization(vmax=1, colormap="bone"), ("kiss",), {}, "2" * 64)
    text = f'{{"batch_sha256": "{"2" * 64}", "colormap": "bone", "tokens": ["kiss"], "vmax": 1.0}}'
    assert made.settings_sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert made.settings["overlay_alpha"] == 0.8


def test_a_different_selection_of_words_asks_for_a_rendering(place, fingerprint):
    receipt = rendered(place, fingerprint)
    chosen = Fingerprint.of(fingerprint.manifest_sha256, Visualization(), ("kiss",), fingerprint.inputs)
    assert seconds_until_due(receipt, chosen) == 0


def test_the_order_of_selected_words_does_not_matter():
    first, second = (
        Fingerprint.of("0" * 64, Visualization(), words, {}) for words in (("kiss", "dog"), ("dog", "kiss"))
    )
    assert first == second


def test_a_receipt_follows_the_contract(place, fingerprint):
    rendered(place, fingerprint)
    content = json.loads(place.path.read_text(encoding="utf-8"))
    jsonschema.validate(content, json_schema("receipt"))
    assert place.path.name == "a.rendered.json"
    assert content["manifest"] == "v.complete.json"
    assert content["settings"]["colormap"] == "viridis"
    assert content["outputs"][0]["scale"] == [0.0, 0.5]
    assert content["attempts"][0]["error"] is None
    assert datetime.fromisoformat(content["attempts"][0]["at"]).tzinfo


def test_the_wait_doubles_with_every_failure(place, fingerprint):
    for wait in (100, 200, 400, 800):
        receipt = failed(place, fingerprint, retry_backoff=100, max_attempts=10)
        assert 0.89 * wait < wait_of(receipt) < 1.1 * wait
        assert seconds_until_due(receipt, fingerprint) == pytest.approx(wait_of(receipt), abs=1)


def test_no_wait_is_longer_than_about_an_hour(place, fingerprint):
    receipt = failed(place, fingerprint, retry_backoff=1e9)
    assert wait_of(receipt) <= 3600 * 1.1
    assert seconds_until_due(receipt, fingerprint) <= 3600


def test_thousands_of_failures_can_be_recorded(place, fingerprint):
    attempts = failed(place, fingerprint, JobError("crashed " * 100)).attempts * 5000
    place.write(place.read().model_copy(update={"attempts": attempts}))
    receipt = failed(place, fingerprint, max_attempts=10_000)
    assert len(receipt.attempts) == 1001
    assert wait_of(receipt) <= 3600 * 1.1
    assert place.path.stat().st_size < 2**20


def test_a_failed_video_that_is_due_is_rendered_now(place, fingerprint):
    past = (datetime.now(UTC) - timedelta(seconds=5)).isoformat()
    receipt = failed(place, fingerprint).model_copy(update={"next_attempt": past})
    assert seconds_until_due(receipt, fingerprint) == 0


@pytest.mark.parametrize("when", ["tomorrow", "2026-01-01T00:00:00", ""])
def test_an_invalid_time_means_now(place, fingerprint, when):
    receipt = failed(place, fingerprint).model_copy(update={"next_attempt": when})
    assert seconds_until_due(receipt, fingerprint) == 0


def test_a_next_attempt_in_the_far_future_is_limited_to_an_hour(place, fingerprint):
    receipt = failed(place, fingerprint).model_copy(update={"next_attempt": "2999-01-01T00:00:00+00:00"})
    assert seconds_until_due(receipt, fingerprint) <= 3600


def test_after_the_last_attempt_a_video_is_left_alone(place, fingerprint):
    due = [failed(place, fingerprint, max_attempts=3).next_attempt is not None for _ in range(3)]
    assert due == [True, True, False]
    assert seconds_until_due(place.read(), fingerprint) is None


@pytest.mark.parametrize("error", [VideoError("no frames"), TensorError()])
def test_an_invalid_input_is_tried_twice(place, fingerprint, error):
    due = [failed(place, fingerprint, error, max_attempts=10).next_attempt is not None for _ in range(2)]
    assert due == [True, False]


def test_max_attempts_may_be_one(place, fingerprint):
    assert failed(place, fingerprint, VideoError("no frames"), max_attempts=1).next_attempt is None


def test_changed_input_resets_the_attempts(place, fingerprint):
    receipt = failed(place, fingerprint, max_attempts=1)
    mended = replace(fingerprint, inputs={"v.mp4": 8})
    assert seconds_until_due(receipt, mended) == 0
    assert len(failed(place, mended, max_attempts=3).attempts) == 1


def test_a_success_keeps_the_history_of_failures_before_it(place, fingerprint):
    failed(place, fingerprint)
    failed(place, fingerprint, OSError(5, "Input/output error"))
    errors = [attempt.error for attempt in rendered(place, fingerprint).attempts]
    assert errors[0] == "crashed"
    assert "Input/output error" in errors[1]
    assert errors[2] is None


def test_a_rendering_after_a_success_starts_a_new_history(place, fingerprint):
    rendered(place, fingerprint)
    assert len(rendered(place, fingerprint).attempts) == 1


def test_a_missing_receipt_is_nothing(place):
    assert place.look() == (None, None, None)
    place.directory.touch()
    assert place.look() == (None, None, None)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"\xff", b'{"format": "attnwatch/2"}', b"[" * 100_000])
def test_a_damaged_receipt_is_not_missing(place, content):
    place.directory.mkdir()
    place.path.write_bytes(content)
    stored = place.look()
    assert stored.receipt is None
    assert stored.sha256 == hashlib.sha256(content).hexdigest()
    assert str(place.path) in str(stored.problem)
    assert "delete it" in str(stored.problem)


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("elsewhere")])
def test_something_else_in_the_place_of_a_receipt_is_not_missing_and_does_not_block(place, make):
    place.directory.mkdir()
    make(place.path)
    assert place.look().problem is not None
    assert place.look().sha256 == place.look().sha256
    assert place.read() is None


def test_a_folder_in_the_place_of_a_receipt_is_not_missing(place):
    place.path.mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        place.look()


def test_a_change_of_a_receipt_is_noticed_by_its_bytes(place, fingerprint):
    """Values are no identity: NaN, which JSON readers accept, differs from itself."""
    rendered(place, fingerprint)
    text = place.path.read_text()
    place.path.write_text(text.replace('"static_duration": 3.0', '"static_duration": NaN'))
    assert place.look().sha256 == place.look().sha256
    before = place.look().sha256
    place.path.write_text(text)
    assert place.look().sha256 != before


LONGEST_PATHS = [f"{'d' * 200}/{number:05d}_{'s' * 190}.safetensors" for number in range(10_000)]


def test_a_receipt_can_be_read_again_whatever_the_manifest_contains(place):
    """The paths here are those of a manifest of 4 MiB; words, settings and files are as many as are accepted."""
    settings = Visualization(steps=tuple(range(10_000)), layers=tuple(range(10_000)), heads=tuple(range(10_000)))
    made = Fingerprint.of("0" * 64, settings, None, dict.fromkeys(LONGEST_PATHS, 2**40))
    stamp = Stamp(2**40, 2**63, 2**63)
    content = record_content(dict.fromkeys(LONGEST_PATHS, stamp), dict.fromkeys(LONGEST_PATHS, "0" * 64))
    outputs = tuple(
        OutputRecord(
            file=f"{'v' * MAX_ID_BYTES}_{'w' * MAX_SLUG_BYTES}_{kind}.mp4",
            kind=kind.value,
            token="w" * MAX_SLUG_BYTES,
            bytes=2**31 - 1,
            scale=(-1.2345678901234567e-300, 1.2345678901234567e-300),
        )
        for kind in OutputKind
    )
    other = replace(made, settings={})
    receipt = failure(place, other, JobError("\x01" * 500), 1.0, Watcher(), content=content)
    place.write(receipt.model_copy(update={"attempts": receipt.attempts * 1_000}))
    notes = ("\x01" * 10_000,) * 10_000
    place.write(success(place, made, outputs * MAX_WORDS, notes, 1.0, content=content))
    stored = place.look()
    assert stored.problem is None
    assert stored.receipt.inputs == made.inputs
    assert len(stored.receipt.outputs) == MAX_WORDS * len(OutputKind)
    assert len(stored.receipt.attempts) == 1_001
    assert stored.receipt.notes[-1] == "and 9,900 more notes"


def test_watchers_with_different_settings_try_wrong_files_twice_in_all(place, fingerprint):
    mine, yours = fingerprint, replace(fingerprint, settings={"colormap": "bone"})
    failed(place, mine, TensorError())
    assert seconds_until_due(place.read(), yours) == pytest.approx(30, abs=4)
    failed(place, yours, TensorError())
    assert [seconds_until_due(place.read(), made) for made in (mine, yours)] == [None, None]


def test_watchers_with_different_settings_each_keep_their_attempts_and_their_waits(place, fingerprint):
    """What fails with some settings, such as a layer that is not stored, may work with others."""
    mine, yours = fingerprint, replace(fingerprint, settings={"colormap": "bone"})
    failed(place, mine, max_attempts=2)
    assert seconds_until_due(place.read(), yours) == 0
    failed(place, yours, max_attempts=2)
    for made in (mine, yours):
        assert seconds_until_due(place.read(), made) == pytest.approx(30, abs=4)
    for made in (mine, yours):
        failed(place, made, max_attempts=2)
    assert [seconds_until_due(place.read(), made) for made in (mine, yours)] == [None, None]
    assert len(place.read().attempts) == 4


def test_attempts_with_other_settings_are_remembered_after_a_success(place, fingerprint):
    mine, yours = fingerprint, replace(fingerprint, settings={"colormap": "bone"})
    failed(place, mine, VideoError("no"), max_attempts=1)
    rendered(place, yours)
    assert seconds_until_due(place.read(), mine) is None
    assert seconds_until_due(place.read(), yours) is None
    rendered(place, yours)
    assert [attempt.error for attempt in place.read().attempts] == ["no", None]


def test_files_that_were_rendered_are_no_longer_wrong(place, fingerprint):
    mine, yours = fingerprint, replace(fingerprint, settings={"colormap": "bone"})
    failed(place, mine, TensorError(), max_attempts=1)
    rendered(place, yours)
    assert seconds_until_due(place.read(), mine) == 0


def test_attempts_of_earlier_versions_were_made_with_the_settings_of_their_receipt(place, fingerprint):
    mine, yours = fingerprint, replace(fingerprint, settings={"colormap": "bone"})
    receipt = failed(place, mine, max_attempts=1)
    names = {"settings_sha256", "input_error", "next_attempt"}
    attempts = [attempt.model_dump(exclude=names) for attempt in receipt.attempts]
    place.path.write_text(json.dumps({**receipt.model_dump(mode="json"), "attempts": attempts}))
    assert seconds_until_due(place.read(), mine) is None
    assert seconds_until_due(place.read(), yours) == 0
    failed(place, yours, max_attempts=3)
    assert seconds_until_due(place.read(), mine) is None


def test_a_reset_counts_whatever_the_settings(place, fingerprint):
    receipt = failed(place, fingerprint, TensorError(), max_attempts=1)
    now = datetime.now(UTC).isoformat()
    place.write(receipt.model_copy(update={"attempts": (), "next_attempt": now}))
    assert seconds_until_due(place.read(), fingerprint) == 0
    assert seconds_until_due(place.read(), replace(fingerprint, settings={"colormap": "bone"})) == 0


def test_paths_below_a_folder_are_described_relative_to_it(tmp_path):
    assert describe(VideoError(f"{tmp_path}/v.mp4: no frames"), tmp_path) == "v.mp4: no frames"


def test_names_in_a_receipt_may_be_in_any_script(tmp_path, fingerprint):
    place = Place(tmp_path / "поцелуй.complete.json", "поцелуй", tmp_path / "attention_videos")
    assert rendered(place, fingerprint).video_id == "поцелуй"


def test_file_names_that_are_not_utf8_are_escaped_in_a_receipt(tmp_path, fingerprint):
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    folder.mkdir()
    place = Place(folder / os.fsdecode(b"\xfe.complete.json"), "__", folder / "attention_videos")
    receipt = failed(place, fingerprint, OSError(2, "No such file", str(place.manifest)))
    assert "udcff" in receipt.attempts[0].error
    assert receipt.manifest == r"\udcfe.complete.json"


CHECK_THE_DISK = "expected a disk that works; check it, or the mount and its server"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (VideoError("no frames"), "no frames"),
        (MemoryError(), "MemoryError: no message"),
        (LinkError(40, "a link", "maps"), "maps: a link"),
        (
            OSError(5, os.strerror(5), "maps"),
            f"maps: cannot be used (Input/output error); {CHECK_THE_DISK}",
        ),
    ],
)
def test_an_error_is_described_in_words_or_else_with_its_type(error, text):
    assert describe(error) == text


def test_a_retry_is_due_now_after_the_clock_was_set_back(place, fingerprint):
    receipt = failure(place, fingerprint, JobError("crashed"), 1.0, Watcher())
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    later = (datetime.now(UTC) + timedelta(days=1, seconds=30)).isoformat()
    attempt = receipt.attempts[0].model_copy(update={"at": tomorrow})
    assert (
        seconds_until_due(receipt.model_copy(update={"attempts": (attempt,), "next_attempt": later}), fingerprint) == 0
    )


WRONG_NAMES = ["../x", "a/b", "/etc/passwd", "..", ".", "", ".hidden", "a\0b", "a\nb", "x" * 256, "é" * 128]


@pytest.mark.parametrize("name", WRONG_NAMES)
@pytest.mark.parametrize("field", ["file", "token"])
def test_a_receipt_whose_outputs_have_more_than_plain_names_is_refused(place, fingerprint, field, name):
    receipt = rendered(place, fingerprint).model_dump(mode="json")
    receipt["outputs"][0][field] = name
    place.path.write_text(json.dumps(receipt))
    assert place.read() is None


@pytest.mark.parametrize("name", ["x" * 255, "поцелуй_kiss_overlay.mp4", "a b.mp4", "-x", "a\\b", "x..y"])
def test_any_plain_name_of_an_output_is_accepted(place, fingerprint, name):
    receipt = rendered(place, fingerprint).model_dump(mode="json")
    receipt["outputs"][0]["file"] = name
    place.path.write_text(json.dumps(receipt))
    assert place.read().outputs[0].file == name


@pytest.mark.parametrize("field", ["video_id", "manifest"])
@pytest.mark.parametrize("name", ["../x", "/x", "a/b", "..", ""])
def test_a_receipt_for_something_that_is_no_name_is_refused(place, fingerprint, field, name):
    receipt = rendered(place, fingerprint).model_dump(mode="json")
    place.path.write_text(json.dumps({**receipt, field: name}))
    assert place.read() is None


def test_a_receipt_is_not_read_through_a_link(place, fingerprint, tmp_path):
    rendered(place, fingerprint)
    place.directory.rename(tmp_path / "elsewhere")
    place.directory.symlink_to(tmp_path / "elsewhere")
    assert place.read() is None
    with pytest.raises(LinkError):
        rendered(place, fingerprint)
    assert Place(place.manifest, "a", place.directory, root=Root(tmp_path, Links.ALL)).read() is not None
