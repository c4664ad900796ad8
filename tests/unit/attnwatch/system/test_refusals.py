import errno
import os

import pytest

from attnwatch.system.permissions import user
from attnwatch.system.refusals import in_words

NUMBERS = ("EACCES", "EPERM", "ENOENT", "ENOSPC", "EMFILE", "EROFS", "EIO", "ESTALE", "ENOLCK")


@pytest.mark.parametrize("number", [getattr(errno, name) for name in NUMBERS], ids=NUMBERS)
def test_a_refusal_says_what_was_found_what_was_expected_and_what_to_do(number):
    said = in_words(OSError(number, os.strerror(number), "folder/maps.safetensors"))
    assert said.startswith(f"folder/maps.safetensors: cannot be used ({os.strerror(number)}); expected ")
    assert said.count("; ") == 2
    assert "Errno" not in said


def test_a_refusal_for_lack_of_permission_names_the_user_who_lacks_it(tmp_path):
    said = in_words(PermissionError(errno.EACCES, os.strerror(errno.EACCES), b"maps"))
    assert said.startswith("maps: ")
    assert f"expected a file or folder that user {user()} may use; change its permissions" in said


def test_a_refusal_without_a_path_has_none():
    assert in_words(OSError(errno.EIO, os.strerror(errno.EIO))).startswith("found Input/output error; ")


def test_a_message_of_its_own_stays():
    assert in_words(OSError(errno.ENOSPC, "needs 5 bytes; free some", "/tmp")) == "needs 5 bytes; free some: '/tmp'"
    assert in_words(OSError("a message alone")) == "a message alone"
