import hashlib
import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jsonschema
import pytest

from attnwatch.contract import receipts
from attnwatch.contract.documents import OutputRecord, json_schema
from attnwatch.contract.receipts import (
    RENDERER_VERSION,
    Fingerprint,
    Place,
    describe,
    failure,
    seconds_until_due,
    success,
)
from attnwatch.errors import JobError, TensorError, VideoError
from attnwatch.settings import NOT_IN_PICTURES, Visualization, Watcher

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


def test_a_new_renderer_version_asks_for_a_rendering(place, fingerprint):
    assert seconds_until_due(rendered(place, fingerprint), replace(fingerprint, renderer=RENDERER_VERSION + 1)) == 0


def other(name):
    """Return the default settings with one setting changed."""
    field = Visualization.model_fields[name]
    candidates = (not field.default, 0.25, 2, "viridis", "fast", "frame", "mask", [1, 99])
    for candidate in candidates:
        try:
            changed = Visualization(**{name: candidate})
        except ValueError:
            continue
        if changed != Visualization():
            return changed
    raise AssertionError(name)


@pytest.mark.parametrize("name", Visualization.model_fields)
def test_a_setting_asks_for_a_rendering_if_and_only_if_it_shapes_pictures(place, fingerprint, name):
    receipt = rendered(place, fingerprint)
    changed = Fingerprint.of(fingerprint.manifest_sha256, other(name), None, fingerprint.inputs)
    assert seconds_until_due(receipt, changed) == (None if name in NOT_IN_PICTURES else 0)


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
    monkeypatch.setattr(receipts, "Visualization", WithBorder)
    later = Fingerprint.of(fingerprint.manifest_sha256, WithBorder(**asked), None, fingerprint.inputs)
    assert seconds_until_due(older, later) == wait


def test_a_setting_that_only_a_later_version_knows_asks_for_a_rendering(place, fingerprint, monkeypatch):
    with monkeypatch.context() as later:
        later.setattr(receipts, "Visualization", WithBorder)
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
    assert made.settings["overlay_alpha"] == 0.6


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
    assert content["settings"]["colormap"] == "hot"
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
    attempts = failed(place, fingerprint).attempts * 5000
    place.write(place.read().model_copy(update={"attempts": attempts}))
    receipt = failed(place, fingerprint, max_attempts=10_000)
    assert len(receipt.attempts) == 5001
    assert wait_of(receipt) <= 3600 * 1.1


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
    assert errors == ["crashed", "OSError: [Errno 5] Input/output error", None]


def test_a_rendering_after_a_success_starts_a_new_history(place, fingerprint):
    rendered(place, fingerprint)
    assert len(rendered(place, fingerprint).attempts) == 1


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"\xff", b'{"format": "attnwatch/2"}', b"[" * 100_000])
def test_a_damaged_receipt_asks_for_a_rendering(place, fingerprint, content):
    place.directory.mkdir()
    place.path.write_bytes(content)
    assert place.read() is None
    assert seconds_until_due(place.read(), fingerprint) == 0


def test_a_pipe_or_folder_instead_of_a_receipt_is_ignored_without_blocking(place):
    place.directory.mkdir()
    os.mkfifo(place.path)
    assert place.read() is None
    place.path.unlink()
    place.path.mkdir()
    assert place.read() is None


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


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (VideoError("no frames"), "no frames"),
        (MemoryError(), "MemoryError: no message"),
        (OSError(28, "No space left on device"), "OSError: [Errno 28] No space left on device"),
    ],
)
def test_an_error_of_another_package_is_described_with_its_type(error, text):
    assert describe(error) == text


def test_a_retry_is_due_now_after_the_clock_was_set_back(place, fingerprint):
    receipt = failure(place, fingerprint, JobError("crashed"), 1.0, Watcher())
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    later = (datetime.now(UTC) + timedelta(days=1, seconds=30)).isoformat()
    attempt = receipt.attempts[0].model_copy(update={"at": tomorrow})
    assert (
        seconds_until_due(receipt.model_copy(update={"attempts": (attempt,), "next_attempt": later}), fingerprint) == 0
    )
