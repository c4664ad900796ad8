from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnwatch.contract.documents import ManifestDocument
from attnwatch.render.alignment import Alignment

CAUSAL = {"frames": 13, "height": 1, "width": 1, "temporal_stride": 4, "causal_first_frame": True}  # covers 49 frames
PLAIN = {"frames": 12, "height": 1, "width": 1, "temporal_stride": 4, "causal_first_frame": False}  # covers 48 frames


def align(frames, made=None, *, grid=CAUSAL, fps=16.0, seconds=None):
    """Align a video of some frames at `fps` with a manifest."""
    fields = {"format": "attnwatch/1", "video": "a.mp4", "attention": (), "grid": grid, "generation": made}
    document = ManifestDocument.model_validate({name: value for name, value in fields.items() if value is not None})
    return Alignment.of(document, np.arange(frames) / fps if seconds is None else np.array(seconds), 1 / fps)


@pytest.mark.parametrize(
    ("frames", "grid"),
    [(49, CAUSAL), (48, CAUSAL), (46, CAUSAL), (48, PLAIN), (45, PLAIN), (7, None), (1, {**PLAIN, "frames": 1})],
)
@pytest.mark.parametrize("made", [None, {"frames": 49, "fps": 16.0}, {"frames": 97, "fps": 30.0}], ids=str)
def test_a_video_that_fits_its_grid_is_aligned_frame_by_frame(frames, grid, made):
    aligned = align(frames, made, grid=grid, fps=25.0)
    assert aligned.positions.tolist() == list(range(frames))
    assert aligned.note is None


class TestByTime:
    """The manifest tells the rate of the frames that its grid covers: 49 frames, 16 per second, 3.06 s."""

    made: ClassVar = {"frames": 49, "fps": 16.0}

    def test_interpolated_frames_lie_between_those_they_were_made_of(self):
        aligned = align(97, self.made, fps=32.0)
        assert aligned.positions == pytest.approx(np.arange(97) / 2)

    def test_a_video_that_was_cut_shows_the_first_generated_frames(self):
        assert align(33, self.made).positions == pytest.approx(np.arange(33))

    def test_a_video_with_dropped_frames_shows_every_other_generated_frame(self):
        assert align(25, self.made, fps=8.0).positions == pytest.approx(np.arange(25) * 2)

    def test_frames_that_are_not_evenly_spaced_count_by_their_own_times(self):
        seconds = [0.0, 0.5, 0.5625, 2.0]
        assert align(4, self.made, seconds=seconds).positions == pytest.approx([0, 8, 9, 32])

    def test_the_map_moves_through_the_whole_interpolated_video(self):
        latent = np.arange(13, dtype=np.float32)[:, None, None]
        shown = align(97, self.made, fps=32.0).maps(latent)[:, 0, 0]
        assert shown[::2] == pytest.approx(align(49).maps(latent)[:, 0, 0])
        assert (np.diff(shown)[4:91] > 0.05).all()

    def test_the_note_tells_both_numbers_and_what_is_done(self):
        assert align(97, self.made, fps=32.0).note == (
            "the video has 97 frames, the grid in its manifest covers 49: maps are placed by time, at 16 generated "
            "frames per second"
        )


class TestSpread:
    """The manifest does not tell when the frames that its grid covers were to be shown, or the video lasts longer."""

    @pytest.mark.parametrize(
        "made",
        [{}, {"frames": 49}, {"fps": 16.0}, {"frames": 97, "fps": 32.0}],
        ids=["nothing", "no rate", "no frames", "those of the interpolated video"],
    )
    def test_without_the_rate_of_the_covered_frames_maps_are_spread_evenly(self, made):
        aligned = align(97, made, fps=32.0)
        assert aligned.positions == pytest.approx(np.arange(97) / 2)
        assert aligned.note == (
            "the video has 97 frames, the grid in its manifest covers 49: maps are spread evenly over the video"
        )

    def test_slow_motion_is_spread_because_it_lasts_longer_than_what_was_generated(self):
        assert align(97, {"frames": 49, "fps": 16.0}).positions == pytest.approx(np.arange(97) / 2)

    def test_a_single_frame_shows_the_middle(self):
        assert align(1).positions.tolist() == [24]


@given(
    st.integers(1, 200),
    st.sampled_from([CAUSAL, PLAIN]),
    st.floats(1, 120),
    st.one_of(st.none(), st.floats(1, 120)),
)
def test_positions_start_at_the_first_generated_frame_grow_and_end_near_the_last(frames, grid, fps, made_at):
    covered = 49 if grid is CAUSAL else 48
    made = None if made_at is None else {"frames": covered, "fps": made_at}
    aligned = align(frames, made, grid=grid, fps=fps)
    assert len(aligned.positions) == frames
    assert (np.diff(aligned.positions) > 0).all()
    if frames > 1:
        assert aligned.positions[0] == 0
        # A video may last as much longer than what was generated as a frame, of either, takes.
        assert aligned.positions[-1] <= covered + max(0, 1 - (made_at or 0) / fps) + 1e-6
