"""`spot cache`: what is kept, and away with it."""

import numpy as np
import pytest
from click.testing import CliRunner
from facespot import cli
from facespot.commands import cache as module
from facespot.extract.cache import SIDECAR, FeatureCache, cache_key
from fake_extraction import fake_features


@pytest.fixture
def folder(tmp_path):
    cache = FeatureCache(tmp_path / "cache")
    for name in ("one", "two"):
        source = tmp_path / f"{name}.mp4"
        source.write_text(name)
        cache.store(cache_key(source, {}), fake_features(source))
    (cache.folder / "mine.txt").write_text("not an entry")
    (cache.folder / "my-folder").mkdir()
    return cache.folder


def spot(*arguments, **settings):
    return CliRunner().invoke(cli.main, ["cache", *map(str, arguments)], **settings)


def test_size_and_list_tell_what_is_there(folder, tmp_path):
    size = sum(f.stat().st_size for entry in folder.glob("*-*") for f in entry.iterdir()) / 1e6
    run = spot("--cache", folder)
    assert run.stdout == f"2 recordings, {size:.1f} MB in {folder}\n"
    lines = spot("list", "--cache", folder).stdout.splitlines()
    assert len(lines) == 4
    assert {line.split()[-1] for line in lines[1:3]} == {str(tmp_path / "one.mp4"), str(tmp_path / "two.mp4")}
    next(folder.glob("one-*/" + SIDECAR)).write_text("damaged")
    assert "?" in spot("list", "--cache", folder).stdout


def test_where_is_the_users_folder_unless_another_is_named(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "user_cache_folder", lambda: tmp_path / "users")
    assert spot("where").stdout == f"{tmp_path / 'users'}\n"
    assert spot().stdout == f"0 recordings, 0.0 MB in {tmp_path / 'users'}\n"
    assert spot("clear").exit_code == 0


def test_clear_asks_and_takes_entries_only(folder):
    assert spot("clear", "--cache", folder, input="n\n").exit_code == 1
    assert len(list(folder.glob("*-*/" + SIDECAR))) == 2
    run = spot("clear", "--cache", folder, "--yes")
    assert run.exit_code == 0
    assert run.stdout.startswith("cleared 2 recordings")
    assert sorted(p.name for p in folder.iterdir()) == ["mine.txt", "my-folder"]


def test_a_prepared_data_set_is_no_cache(folder):
    (folder / "index.csv").touch()
    run = spot("clear", "--cache", folder, "--yes")
    assert run.exit_code == 1
    assert "prepared data set" in run.stderr
    assert len(list(folder.glob("*-*/" + SIDECAR))) == 2


def test_entries_are_what_the_cache_stores(folder):
    from facespot.extract.stored import stored_entries

    for entry in stored_entries(folder):
        np.testing.assert_equal(entry.size, sum(f.stat().st_size for f in entry.path.iterdir()))
        assert entry.path.parent == folder
