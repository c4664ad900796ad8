import pytest

from generator.errors import ImageError
from generator.images.files import image_paths


def test_a_folder_stands_for_the_images_in_it_in_the_order_of_their_names(tmp_path):
    for name in ("b.JPG", "a.png", ".hidden.png", "notes.txt", "c.webp"):
        (tmp_path / name).touch()
    found = image_paths([str(tmp_path), str(tmp_path / "notes.txt")], "image")
    assert found == [str(tmp_path / name) for name in ("a.png", "b.JPG", "c.webp", "notes.txt")]


def test_relative_paths_become_absolute(tmp_path, monkeypatch):
    (tmp_path / "a, b.png").touch()
    monkeypatch.chdir(tmp_path)
    assert image_paths(["a, b.png"], "image") == [str(tmp_path / "a, b.png")]


def test_what_is_not_there_and_folders_without_images_are_refused(tmp_path):
    with pytest.raises(ImageError, match=r"last_image: found nothing at .*/gone\. Expected an image file"):
        image_paths([str(tmp_path / "gone")], "last_image")
    with pytest.raises(ImageError, match="image: found no image in the folder"):
        image_paths([str(tmp_path)], "image")
