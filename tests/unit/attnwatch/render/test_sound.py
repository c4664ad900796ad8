import errno
import shutil

import av
import pytest

from attnwatch.contract.manifest import read_manifest
from attnwatch.render import sound
from attnwatch.render.video import render_outputs
from attnwatch.settings import Visualization
from tests.sounds import CLICKS, heard, scramble_sound, sound_codecs, sound_packets, write_with_sound
from tests.support import Batch, decode, write_source_video

SHORT = CLICKS[:4]  # what is heard while there is a picture
EXACT = 0.003  # seconds: times in Matroska are rounded to a millisecond, filters smear the beginning of a burst


@pytest.fixture
def render(tmp_path):
    """Render the overlay of a video; return its path and the notes about sound."""

    def render(source, **settings):
        manifest = Batch.make(tmp_path / "outputs").add(source=False, video=source.name)
        shutil.copy(source, manifest.with_name(source.name))
        (tmp_path / "out").mkdir(exist_ok=True)
        chosen = Visualization(generate_attention_only=False, generate_aggregated=False, quality="fast", **settings)
        rendering = render_outputs(read_manifest(manifest), chosen, tmp_path / "out")
        (overlay,) = (output.path for output in rendering.outputs)
        assert [path.name for path in (tmp_path / "out").iterdir()] == [overlay.name]
        return overlay, [note for note in rendering.notes if "sound" in note]

    return render


def test_a_silent_video_has_silent_overlays(render, tmp_path, monkeypatch):
    monkeypatch.setattr(sound, "_end", pytest.fail)  # nothing is opened again
    overlay, notes = render(write_source_video(tmp_path / "a.mp4"))
    assert (sound_codecs(overlay), notes) == ([], [])


def test_sound_can_be_switched_off(render, tmp_path):
    overlay, notes = render(write_with_sound(tmp_path / "a.mp4"), audio=False)
    assert (sound_codecs(overlay), notes) == ([], [])


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "aac", {}),
        ("a.mkv", "aac", {}),
        ("a.ts", "aac", {"picture_from": 1.5, "sound_from": 1.5}),
        ("a.mp4", "libmp3lame", {}),
        ("a.avi", "libmp3lame", {}),
        ("a.mp4", "libopus", {"rate": 48_000}),
        ("a.mkv", "libopus", {"rate": 48_000}),
        ("a.mkv", "flac", {}),
    ],
)
def test_what_is_played_everywhere_is_copied_and_stays_in_time(render, tmp_path, name, codec, options):
    source = write_with_sound(tmp_path / name, codec, seconds=2.0, **options)
    overlay, notes = render(source)
    assert sound_codecs(overlay) == sound_codecs(source)
    assert heard(overlay) == pytest.approx(heard(source), abs=EXACT)
    assert len(heard(overlay)) == len(SHORT)
    copied = sound_packets(overlay)
    assert len(copied) >= len(sound_packets(source)) - 1
    if name != "a.ts":  # there, each packet has a header, which MP4 has once
        assert set(copied) <= set(sound_packets(source))
    assert notes == []


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mov", "alac", {}),
        ("a.mp4", "ac3", {"layout": "5.1"}),
        ("a.avi", "pcm_s16le", {"layout": "mono"}),
        ("a.mkv", "pcm_s16le", {"rate": 384_000}),
        ("a.mkv", "eac3", {}),
        ("a.avi", "libmp3lame", {"rate": 8_000}),  # a copy is refused by the writer of MP4
    ],
)
def test_everything_else_becomes_aac_and_stays_in_time(render, tmp_path, name, codec, options):
    source = write_with_sound(tmp_path / name, codec, seconds=2.0, **options)
    overlay, notes = render(source)
    assert sound_codecs(overlay) == ["aac"]
    assert heard(overlay) == pytest.approx(heard(source), abs=EXACT)
    assert len(heard(overlay)) == len(SHORT)
    assert notes == []


@pytest.mark.parametrize("codec", ["aac", "ac3"])
class TestTimes:
    def test_the_pictures_are_not_touched(self, render, tmp_path, codec):
        source = write_with_sound(tmp_path / "a.mp4", codec, picture_from=0.5)
        with_sound = [(frame.time, bytes(frame.planes[0])) for frame in decode(render(source)[0])]
        silent = [(frame.time, bytes(frame.planes[0])) for frame in decode(render(source, audio=False)[0])]
        assert with_sound == silent

    def test_what_begins_later_is_heard_later(self, render, tmp_path, codec):
        overlay, notes = render(write_with_sound(tmp_path / "a.mp4", codec, sound_from=0.3, seconds=1.5))
        assert heard(overlay) == pytest.approx([0.55, 1.05, 1.55], abs=EXACT)
        assert notes == []

    def test_a_picture_that_begins_later_is_shown_later(self, render, tmp_path, codec):
        overlay, _ = render(write_with_sound(tmp_path / "a.mkv", codec, picture_from=0.3125, seconds=2.2))
        assert heard(overlay) == pytest.approx([-0.0625, 0.4375, 0.9375, 1.4375], abs=EXACT)

    def test_another_rate_that_begins_at_0_takes_the_sound_along(self, render, tmp_path, codec):
        source = write_with_sound(tmp_path / "a.ts", codec, picture_from=1.7, sound_from=1.5, seconds=2.0)
        overlay, _ = render(source, fps=5)
        assert decode(overlay)[0].time == 0
        assert heard(overlay) == pytest.approx(heard(source), abs=EXACT)

    def test_sound_after_the_last_frame_is_left_out(self, render, tmp_path, codec):
        overlay, notes = render(write_with_sound(tmp_path / "a.mp4", codec, seconds=4.0))
        assert heard(overlay) == pytest.approx(SHORT, abs=EXACT)
        with av.open(str(overlay)) as container:
            assert container.duration / av.time_base == pytest.approx(33 / 16, abs=0.05)
        assert notes == ["the sound after the last frame is left out"]

    def test_sound_that_ends_early_is_kept(self, render, tmp_path, codec):
        overlay, notes = render(write_with_sound(tmp_path / "a.mp4", codec, seconds=0.9))
        assert heard(overlay) == pytest.approx(SHORT[:2], abs=EXACT)
        assert len(decode(overlay)) == 33
        assert notes == []

    def test_what_an_edit_list_hides_is_not_heard(self, render, tmp_path, codec):
        source = write_with_sound(tmp_path / "a.mp4", codec, hidden=0.6)
        overlay, _ = render(source)
        assert heard(overlay) == pytest.approx([0.15, 0.65, 1.15], abs=EXACT)

    def test_what_is_after_a_gap_stays_in_time(self, render, tmp_path, codec):
        overlay, _ = render(write_with_sound(tmp_path / "a.mkv", codec, gap=(0.6, 1.1), seconds=2.0))
        assert sound_codecs(overlay) == ["aac"]
        assert heard(overlay) == pytest.approx([0.25, 1.25, 1.75], abs=EXACT)

    def test_where_times_start_again_sound_goes_on_as_the_picture_does(self, render, tmp_path, codec):
        whole = write_with_sound(tmp_path / "whole.ts", codec, seconds=2.0)
        joined = tmp_path / "a.ts"
        joined.write_bytes(whole.read_bytes() * 2)
        overlay, _ = render(joined)
        times = heard(overlay)
        assert times[:4] == pytest.approx(SHORT, abs=0.05)
        assert times[4:] == pytest.approx([time + 33 / 16 for time in SHORT], abs=0.1)


class TestWhatCannotBeUsed:
    @pytest.mark.parametrize("codec", ["ac3", "flac"])
    def test_damaged_parts_are_silent(self, render, tmp_path, codec):
        overlay, notes = render(scramble_sound(write_with_sound(tmp_path / "a.mkv", codec, seconds=2.0), 1.0))
        assert heard(overlay) == pytest.approx(SHORT[:2], abs=EXACT)
        assert len(decode(overlay)) == 33
        assert notes == ["damaged parts of the sound are silent"]

    def test_a_damaged_sound_is_noted_and_the_video_is_rendered(self, render, tmp_path):
        overlay, notes = render(scramble_sound(write_with_sound(tmp_path / "a.mkv", "ac3")))
        assert len(decode(overlay)) == 33
        assert sound_codecs(overlay) == []
        assert len(notes) == 1
        assert notes[0].startswith("no sound in overlays: that of the video cannot be used (")

    def test_so_is_one_of_an_unknown_codec(self, render, tmp_path):
        source = write_with_sound(tmp_path / "a.mkv", "ac3")
        source.write_bytes(source.read_bytes().replace(b"A_AC3", b"A_QQ7"))
        overlay, notes = render(source)
        assert sound_codecs(overlay) == []
        assert len(notes) == 1

    def test_so_is_one_that_begins_after_the_last_frame(self, render, tmp_path):
        overlay, notes = render(write_with_sound(tmp_path / "a.mkv", "ac3", sound_from=3.0))
        assert sound_codecs(overlay) == []
        reason = "nothing of it can be heard while there is a picture"
        assert notes == [f"no sound in overlays: that of the video cannot be used ({reason})"]

    def test_a_gap_of_hours_is_not_filled(self, render, tmp_path, monkeypatch):
        monkeypatch.setattr("attnwatch.render.soundtrack._MOST_SILENCE", 0.2)
        overlay, notes = render(write_with_sound(tmp_path / "a.mkv", "ac3", gap=(0.6, 1.1)))
        assert heard(overlay) == pytest.approx([0.25], abs=EXACT)
        assert notes == ["the sound ends at a gap of more than 600 s"]

    def test_one_of_several_tracks_is_kept(self, render, tmp_path):
        overlay, notes = render(write_with_sound(tmp_path / "a.mkv", tracks=3, seconds=2.0))
        assert sound_codecs(overlay) == ["aac"]
        assert heard(overlay) == pytest.approx(SHORT, abs=EXACT)
        assert notes == ["one of 3 sound tracks is kept, the one that players choose"]

    def test_a_full_disk_is_not_the_fault_of_the_sound(self, render, tmp_path, monkeypatch):
        def full(*_):
            raise av.error.OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(sound, "copy", full)
        with pytest.raises(OSError, match="No space left"):
            render(write_with_sound(tmp_path / "a.mp4"))
