"""Where a user's own files lie."""

import os
import sys

import pytest
from facespot.files import user_cache_folder


def test_the_cache_lies_in_a_folder_of_its_own(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = user_cache_folder()
    assert folder.is_absolute()
    assert folder.name == "facespot"


@pytest.mark.skipif(sys.platform == "win32", reason="every user of Windows has a profile")
def test_a_user_without_a_home_is_an_error_of_the_system(monkeypatch):
    """As in a container that runs under a number nobody has."""
    import pwd

    def unknown(number):
        raise KeyError(number)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert os.path.expanduser("~") == "~"
    with pytest.raises(FileNotFoundError, match="home"):
        user_cache_folder()
