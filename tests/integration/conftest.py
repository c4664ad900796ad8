import pytest


@pytest.fixture
def outputs(tmp_path):
    """Return an empty folder to watch."""
    outputs = tmp_path / "outputs"
    outputs.mkdir()
    return outputs
