import pytest

from attnwatch.system.sizes import size_text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1000, "1000 B"),
        (2**10, "1 KiB"),
        (100 * 2**20, "100 MiB"),
        (3_276_000, "3.1 MiB"),
        (2 * 2**30, "2 GiB"),
        (int(1.5 * 2**30), "1.5 GiB"),
        (10**13, "9.1 TiB"),
    ],
)
def test_sizes_are_written_in_binary_units(size, text):
    assert size_text(size) == text
