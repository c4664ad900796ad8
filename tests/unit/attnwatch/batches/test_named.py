from pathlib import Path

import pytest

from attnwatch.batches.named import named
from attnwatch.errors import ConfigError

OLD, NEW = "kiss_20260102_030405", "kiss_20260102_040506"


@pytest.fixture(autouse=True)
def there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (f"outputs/{OLD}", f"outputs/{NEW}", "outputs/dance", "archive/kiss_20250102_030405"):
        Path(name).mkdir(parents=True)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("kiss", f"outputs/{NEW}"),
        (OLD, f"outputs/{OLD}"),
        ("dance", "outputs/dance"),
        ("outputs/kiss", f"outputs/{NEW}"),
        ("archive/kiss", "archive/kiss_20250102_030405"),
        ("archive", "archive"),
    ],
)
def test_a_batch_is_found_by_its_name_with_or_without_the_time_and_the_newest_counts(given, found):
    assert named(Path(given)) == Path(found)


def test_a_batch_is_found_in_the_current_folder_too(monkeypatch):
    monkeypatch.chdir("outputs")
    assert named(Path("kiss")) == Path(NEW)


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ("kis", "no batch of that name in outputs/ or the current folder; .* did you mean kiss"),
        ("archive/kisss", "no batch of that name in archive/; .* did you mean archive/kiss"),
        ("nothing", "check the name"),
        (300 * "a", "check the name"),
    ],
)
def test_of_what_is_not_there_the_nearest_name_is_told(given, hint):
    with pytest.raises(ConfigError, match=f"found nothing at {given}, and .*{hint}"):
        named(Path(given))
