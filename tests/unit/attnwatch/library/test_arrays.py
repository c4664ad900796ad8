import numpy as np
import pytest

import attnwatch
from attnwatch.errors import ConfigError, NotReadyError
from attnwatch.library.arrays import WordOfVideo
from tests.support import FPS, FRAMES, GRID, Batch, blob_maps

xr = pytest.importorskip("xarray")

MAPS = np.random.default_rng(3).random((2, 3, 2, *GRID)).astype(np.float32)


@pytest.fixture
def batch(tmp_path):
    return Batch.make(tmp_path)


def opened(batch):
    return attnwatch.open(batch.folder)


def stored(batch, number, maps, **fields):
    """Add a video with these maps, and every field of the contract."""
    path = batch.add_full(number, **fields)
    batch.write_data(number, tensors={"kiss": maps}, source=False)
    return path


def test_all_that_is_stored_of_a_word_is_labelled(batch):
    stored(batch, 1, MAPS)

    array = opened(batch)["prompt_001_vid001"].maps("kiss")

    assert array.dims == ("step", "layer", "head", "frame", "y", "x")
    assert array.dtype == np.float32
    assert (array.values == MAPS).all()
    assert array.step.values.tolist() == [0, 1]
    assert (array.timestep.values.tolist(), array.model.values.tolist()) == ([999.0, 499.0], ["transformer"] * 2)
    assert array.layer.values.tolist() == [0, 1, 2]
    assert array.seconds.values.tolist() == pytest.approx([0, 2.5 / FPS, 6.5 / FPS])
    assert array.x.values[[0, -1]].tolist() == pytest.approx([0.5 / GRID[2], 1 - 0.5 / GRID[2]])
    assert (array.name, array.attrs["units"], str(array.video.values)) == ("kiss", "probability", "prompt_001_vid001")


@pytest.mark.parametrize(
    "chosen",
    [
        {"step": 1, "layer": 2, "head": 0},
        {"step": slice(None, None, -1), "frame": [0, 2], "x": slice(1, 7, 3)},
        {"layer": [2, 0], "y": 3, "x": -1},
        {"frame": slice(0, 0)},
    ],
)
def test_a_selection_is_what_numpy_selects(batch, chosen):
    stored(batch, 1, MAPS)
    array = opened(batch)["prompt_001_vid001"].maps("kiss")

    found = array.isel(chosen).values

    assert found.shape == xr.DataArray(MAPS, dims=array.dims).isel(chosen).shape
    assert (found == xr.DataArray(MAPS, dims=array.dims).isel(chosen).values).all()


def test_nothing_is_read_before_values_are_needed(batch):
    path = stored(batch, 1, MAPS)
    array = opened(batch)["prompt_001_vid001"].maps("kiss").sel(step=1).isel(layer=0)

    next(path.parent.glob("attention_maps/*")).unlink()

    assert array.shape == (2, *GRID)
    with pytest.raises(NotReadyError, match="restore it"):
        array.load()


def test_axes_of_which_only_the_mean_is_stored_have_no_labels(batch):
    batch.add(1, tensors={"kiss.aggregated": MAPS[0, 0, 0]})

    array = opened(batch)["prompt_001_vid001"].maps("kiss")

    assert array.shape == (1, 1, 1, *GRID)
    assert not {"step", "layer", "head", "sigma"} & set(array.coords)
    assert array.attrs["mean_over"] == "step, layer, head"
    assert (array.values[0, 0, 0] == MAPS[0, 0, 0]).all()


def test_maps_follow_the_frames_of_the_video_if_asked(batch):
    stored(batch, 1, blob_maps())

    array = opened(batch)["prompt_001_vid001"].maps("kiss", frames=True)

    assert array.sizes["frame"] == FRAMES
    assert array.seconds.values.tolist() == pytest.approx([frame / FPS for frame in range(FRAMES)])
    assert (array.isel(frame=0).values == blob_maps()[..., 0, :, :]).all()
    assert (array.isel(frame=[5]).values == array.values[..., [5], :, :]).all()


def test_videos_are_stacked_with_their_choices(batch):
    for number, choice in ((1, "left"), (2, "right")):
        stored(batch, number, MAPS * number / 2, generation={"choices": [choice], "seed": number})
    batch.add_full(3, words=("dog",))

    array = opened(batch).maps("kiss")

    assert array.dims[0] == "video"
    assert array.video.values.tolist() == ["prompt_001_vid001", "prompt_001_vid002"]
    assert (array.choice_1.values.tolist(), array.seed.values.tolist()) == (["left", "right"], [1, 2])
    assert (array.isel(video=1).values == MAPS).all()
    by_choice = array.groupby("choice_1").mean("video")
    assert by_choice.sel(choice_1="left").values == pytest.approx(MAPS / 2)


def test_maps_of_different_shapes_are_not_stacked(batch):
    stored(batch, 1, MAPS)
    stored(batch, 2, MAPS[:, :2])
    with pytest.raises(ConfigError, match=r"found maps of \(2, 2, 2, 3, 6, 8\) values in prompt_001_vid002 and of"):
        opened(batch).maps("kiss")
    with pytest.raises(KeyError, match="expected one of: kiss"):
        opened(batch).maps("dog")


def test_values_that_are_not_finite_are_nan_if_asked(batch):
    maps = MAPS.copy()
    maps[1, 2, 0, 1, 2, 3] = np.inf
    stored(batch, 1, maps)
    video = opened(batch)["prompt_001_vid001"]

    assert np.argwhere(np.isnan(video.maps("kiss", masked=True).values)).tolist() == [[1, 2, 0, 1, 2, 3]]
    assert np.isfinite(video.maps("kiss").isel(step=0)).all()


def test_chunks_need_dask_and_say_so(batch, monkeypatch):
    stored(batch, 1, MAPS)
    monkeypatch.setattr(xr.DataArray, "chunk", refuse_to_import)
    with pytest.raises(ConfigError, match="chunks: found no dask; expected it; install it"):
        opened(batch)["prompt_001_vid001"].maps("kiss", chunks={"step": 1})


def refuse_to_import(*_):
    raise ImportError("chunk manager 'dask' is not available")


def test_each_chunk_reads_only_what_it_holds(batch, monkeypatch):
    pytest.importorskip("dask")
    for number in (1, 2):
        stored(batch, number, MAPS)
    read, reading = [], WordOfVideo.read
    monkeypatch.setattr(WordOfVideo, "read", lambda one, places: read.append(places) or reading(one, places))

    array = opened(batch).maps("kiss", chunks={"video": 1, "step": 1})

    assert array.chunks[:2] == ((1, 1), (1, 1))
    assert read == []
    mean = array.isel(video=1, step=0).mean("head").compute(scheduler="synchronous")
    assert (mean.values == MAPS[0].mean(axis=1)).all()
    assert [places[:3] for places in read] == [[[0], [0, 1, 2], [0, 1]]]


@pytest.mark.slow
def test_a_cluster_of_processes_computes_with_chunks(batch):
    distributed = pytest.importorskip("distributed")
    for number in (1, 2):
        stored(batch, number, MAPS)
    array = opened(batch).maps("kiss", chunks={"video": 1})
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        distributed.Client(cluster),
    ):
        mean = array.mean(("y", "x")).compute()
    assert mean.values == pytest.approx(np.stack([MAPS, MAPS]).mean(axis=(-2, -1)))
