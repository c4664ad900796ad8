import pytest


@pytest.fixture
def outputs(tmp_path):
    """An empty folder to watch."""
    outputs = tmp_path / "outputs"
    outputs.mkdir()
    return outputs
