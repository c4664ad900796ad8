"""A folder to open, beside one that nothing may touch."""

import pytest


@pytest.fixture
def batch(tmp_path):
    """A folder to open, with something in it, beside a folder that nothing may touch."""
    (tmp_path / "batch" / "maps" / "words").mkdir(parents=True)
    (tmp_path / "batch" / "maps" / "words" / "kiss").write_bytes(b"inside")
    (tmp_path / "batch" / "own").write_bytes(b"own")
    (tmp_path / "outside" / "words").mkdir(parents=True)
    (tmp_path / "outside" / "words" / "kiss").write_bytes(b"outside")
    (tmp_path / "outside" / "kiss").write_bytes(b"outside")
    return tmp_path / "batch"


@pytest.fixture
def outside(batch):
    """The folder that nothing may touch."""
    return batch.parent / "outside"
