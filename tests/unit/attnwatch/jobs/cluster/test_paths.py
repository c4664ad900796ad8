from dataclasses import dataclass
from pathlib import Path

import pytest

from attnwatch.jobs.cluster.paths import PathMap

MAP = PathMap.of(["/data=/mnt/data", "/data/fast=/scratch"])


@dataclass(frozen=True)
class Job:
    root: Path
    inner: tuple[Path, ...]
    text: str


@pytest.mark.parametrize(
    ("here", "there"),
    [
        ("/data", "/mnt/data"),
        ("/data/a/b.mp4", "/mnt/data/a/b.mp4"),
        ("/data/fast/b", "/scratch/b"),
        ("/database/b", "/database/b"),
        ("data/b", "data/b"),
    ],
)
def test_the_innermost_folder_counts_and_paths_come_back_as_they_were(here, there):
    assert MAP.there(Path(here)) == Path(there)
    assert MAP.here(Path(there)) == Path(here)


def test_every_path_of_a_job_is_another_one_on_the_worker_and_its_texts_stay():
    job = Job(Path("/data/out"), (Path("/data/fast/x"), Path("y")), "/data/out")
    there = PathMap().unpack(MAP.pack(job))
    assert there == Job(Path("/mnt/data/out"), (Path("/scratch/x"), Path("y")), "/data/out")
    assert MAP.unpack(PathMap().pack(there)) == job


def test_without_a_map_paths_stay():
    job = Job(Path("/data/out"), (), "")
    assert PathMap().unpack(PathMap().pack(job)) == job
