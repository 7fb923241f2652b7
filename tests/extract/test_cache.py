"""The feature cache: hits, keys, damage, and writers that are killed."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace

import media
import numpy as np
import pytest
from facespot.extract import cache as cache_module
from facespot.extract.cache import SIDECAR, DamagedEntryError, FeatureCache, cache_key
from facespot.extract.features import FaceFeatures
from facespot.extract.regions import KEPT_MESH_POINTS, ROI_NAMES
from facespot.extract.timebase import Timebase

OPTIONS = {"face": "longest", "flow": "lk"}


def features(n_ticks=30, seed=0, scale=1.0):
    rng = np.random.default_rng(seed)
    landmarks = rng.normal(size=(n_ticks, len(KEPT_MESH_POINTS), 3)).astype(np.float32)
    landmarks[:3] = np.nan
    segment = np.zeros(n_ticks, np.int32)
    segment[:3] = -1
    return FaceFeatures(
        snippets=(scale * rng.normal(size=(n_ticks, 17, 10, 2))).astype(np.float16),
        landmarks=landmarks,
        segment=segment,
        timebase=Timebase(np.arange(n_ticks) / 30),
        provenance={"source": {"path": "ünï.mp4"}, "warnings": ["a warning"]},
    )


def assert_same(a, b):
    for name in ("snippets", "landmarks", "segment"):
        left, right = getattr(a, name), getattr(b, name)
        assert left.dtype == right.dtype
        assert np.asarray(left).tobytes() == np.asarray(right).tobytes()
    assert a.timebase.frame_times.tobytes() == b.timebase.frame_times.tobytes()
    assert a.timebase.rate == b.timebase.rate
    assert a.provenance == b.provenance


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "some video.mp4"
    path.write_bytes(np.random.default_rng(1).bytes(5_000_000))
    return path


@pytest.fixture
def stored(tmp_path, source):
    cache, key = FeatureCache(tmp_path / "cache"), cache_key(source, OPTIONS)
    cache.store(key, features())
    return cache, key


def test_what_is_stored_comes_back_memory_mapped(stored):
    cache, key = stored
    loaded = cache.load(key)
    assert_same(loaded, features())
    assert isinstance(loaded.snippets, np.memmap)
    assert not loaded.snippets.flags.writeable


def test_arrays_are_written_and_checked_in_blocks(stored, tmp_path, monkeypatch):
    cache, key = stored
    monkeypatch.setattr(cache_module, "_BLOCK_BYTES", 1500)
    assert_same(cache.load(key), features())
    entry = cache.store(key, features())
    np.save(tmp_path / "whole.npy", features().landmarks)
    assert (entry / "landmarks.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()
    assert_same(cache.load(key), features())


def test_the_sidecar_tells_people_what_is_in_it(stored, source):
    cache, key = stored
    entry = cache.folder / key.entry_name
    assert entry.name.startswith("some_video-")
    sidecar = json.loads((entry / SIDECAR).read_text())
    assert sidecar["roi_order"] == list(ROI_NAMES)
    assert sidecar["clock"] == {"rate_hz": 30.0, "ticks": 30, "frames": 30}
    assert sidecar["options"] == OPTIONS
    assert sidecar["source"]["bytes"] == 5_000_000
    assert sidecar["arrays"]["snippets"]["shape"] == [30, 17, 10, 2]
    assert sidecar["provenance"]["warnings"] == ["a warning"]
    assert np.load(entry / "snippets.npy", allow_pickle=False).shape == (30, 17, 10, 2)


def test_no_entry_is_no_error(tmp_path, source):
    assert FeatureCache(tmp_path / "absent").load(cache_key(source, OPTIONS)) is None


@pytest.mark.parametrize("position", [0, 1_600_000, 2_500_000, 3_777_777, 4_999_999])
def test_a_changed_file_is_another_key(stored, source, position):
    cache, key = stored
    times = os.stat(source).st_atime_ns, os.stat(source).st_mtime_ns
    with source.open("r+b") as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ 1]))
    os.utime(source, ns=times)  # the content counts, not the clock
    changed = cache_key(source, OPTIONS)
    assert changed.digest != key.digest
    assert cache.load(changed) is None


def test_a_copy_elsewhere_has_the_same_key(source, tmp_path):
    copy = tmp_path / "folder" / source.name
    copy.parent.mkdir()
    copy.write_bytes(source.read_bytes())
    assert cache_key(copy, OPTIONS) == cache_key(source, OPTIONS)


def test_a_changed_option_or_version_is_another_key(source, monkeypatch):
    keys = [cache_key(source, OPTIONS), cache_key(source, {**OPTIONS, "flow": "dis"})]
    monkeypatch.setattr(cache_module, "FORMAT_VERSION", cache_module.FORMAT_VERSION + 1)
    keys.append(cache_key(source, OPTIONS))
    monkeypatch.setattr(cache_module, "FEATURES_VERSION", cache_module.FEATURES_VERSION + 1)
    keys.append(cache_key(source, OPTIONS))
    assert len({k.digest for k in keys}) == 4
    assert len({k.entry_name for k in keys}) == 4


def test_folders_of_images_are_told_apart_by_content_and_names(tmp_path):
    folder = media.write_images(tmp_path / "frames", media.noise(5))
    keys = [cache_key(folder, OPTIONS)]
    (folder / "notes.txt").write_text("no image")
    assert cache_key(folder, OPTIONS) == keys[0]
    (folder / "img_4.png").rename(folder / "img_9.png")
    keys.append(cache_key(folder, OPTIONS))
    (folder / "img_3.png").write_bytes((folder / "img_1.png").read_bytes())
    keys.append(cache_key(folder, OPTIONS))
    assert len({k.digest for k in keys}) == 3
    assert keys[0].entry_name.startswith("frames-")


def test_an_image_anywhere_in_a_folder_counts(tmp_path):
    folder = media.write_images(tmp_path / "frames", media.noise(9), "img_{}.bmp")
    sizes = {path.stat().st_size for path in folder.iterdir()}
    keys = [cache_key(folder, OPTIONS)]
    for i in (2, 3, 4, 6, 7, 8):
        (folder / f"img_{i}.bmp").write_bytes((folder / "img_1.bmp").read_bytes())
        keys.append(cache_key(folder, OPTIONS))
    assert {path.stat().st_size for path in folder.iterdir()} == sizes  # only the content tells
    assert len({k.digest for k in keys}) == 7


def test_a_byte_that_moves_to_the_next_image_is_another_key(tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    (folder / "1.png").write_bytes(b"abc")
    (folder / "2.png").write_bytes(b"def")
    before = cache_key(folder, OPTIONS)
    (folder / "1.png").write_bytes(b"abcd")
    (folder / "2.png").write_bytes(b"ef")
    assert cache_key(folder, OPTIONS).digest != before.digest


def test_same_named_videos_of_different_folders_live_side_by_side(tmp_path):
    cache = FeatureCache(tmp_path / "cache")
    keys = []
    for i in range(3):
        path = tmp_path / str(i) / "a.mp4"
        path.parent.mkdir()
        path.write_bytes(bytes([i]) * 1000)
        keys.append(cache_key(path, OPTIONS))
        cache.store(keys[-1], features(seed=i))
    for i, key in enumerate(keys):
        assert_same(cache.load(key), features(seed=i))


@pytest.mark.parametrize("name", ["-dash", "..", "a/b".replace("/", "\\"), "ü" * 120, "100%", os.fsdecode(b"\xff")])
def test_any_name_makes_a_usable_entry(tmp_path, name):
    path = tmp_path / name if name != ".." else tmp_path / "...mp4"
    path.write_bytes(b"x")
    cache, key = FeatureCache(tmp_path / "cache"), cache_key(path, OPTIONS)
    cache.store(key, features())
    assert_same(cache.load(key), features())
    assert [p.name for p in cache.folder.iterdir()] == [key.entry_name]
    assert not key.entry_name.startswith((".", "-"))


def flip_a_byte(path):
    data = bytearray(path.read_bytes())
    data[-10] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda e: flip_a_byte(e / "snippets.npy"),
        lambda e: flip_a_byte(e / "frame_times.npy"),
        lambda e: (e / "landmarks.npy").unlink(),
        lambda e: (e / "segment.npy").write_bytes(b""),
        lambda e: (e / SIDECAR).unlink(),
        lambda e: (e / SIDECAR).write_text("{}"),
        lambda e: (e / SIDECAR).write_text("[1]"),
        lambda e: (e / SIDECAR).write_text("[" * 100_000),
        lambda e: (e / SIDECAR).write_bytes(b"\xff\xfe"),
        lambda e: (e / "segment.npy").write_bytes(b"PK\x03\x04 no archive"),
        lambda e: np.save(e / "segment.npy", np.array([{"a": 1}], object), allow_pickle=True),
        lambda e: np.save(e / "snippets.npy", np.zeros((30, 17, 13, 2), np.float16)),
    ],
)
def test_damage_is_noticed_and_mended_by_the_next_store(stored, spoil):
    cache, key = stored
    spoil(cache.folder / key.entry_name)
    with pytest.raises(DamagedEntryError, match=key.entry_name):
        cache.load(key)
    cache.store(key, features())
    assert_same(cache.load(key), features())
    assert len(list(cache.folder.iterdir())) == 1


@pytest.mark.parametrize(
    "header",
    [
        b"{'descr': '<i4', 'fortran_order': False, 'shape': (30,), }",
        b"{'descr': '>i4', 'fortran_order': False, 'shape': (30,), }",
        b"{'descr': '<i4', 'fortran_order': False, 'shape': (30",
        b"{'descr': '<i4', 'fortran_order': False, 'shape': (" + b"9" * 30 + b",), }",
        b"{'descr': '<i4', 'fortran_order': False, 'shape': ((((((",
        b"{'descr': None, 'fortran_order': False, 'shape': (30,), }",
    ],
)
def test_a_header_that_lies_under_a_right_checksum_is_damage(stored, header, monkeypatch):
    cache, key = stored
    path = cache.folder / key.entry_name / "segment.npy"
    intact = header.startswith(b"{'descr': '<i4', 'fortran_order': False, 'shape': (30,)")
    path.write_bytes(path.read_bytes()[:10] + header.ljust(117) + b"\n" + path.read_bytes()[128:])
    crcs = json.loads((path.parent / SIDECAR).read_text())["arrays"]
    monkeypatch.setattr(cache_module, "_file_checksum", lambda path: crcs[path.stem]["crc32"])
    if intact:
        assert_same(cache.load(key), features())
        return
    with pytest.raises(DamagedEntryError, match=key.entry_name):
        cache.load(key)


def test_no_flipped_byte_is_believed(tmp_path, source):
    cache, key = FeatureCache(tmp_path / "cache"), cache_key(source, OPTIONS)
    entry = cache.store(key, features(4))
    rng = random.Random(11)
    files = sorted(entry.iterdir())
    refused = []
    for i in range(600):
        path = files[i % len(files)]
        content = path.read_bytes()
        # Every second flip within the head, where types and shapes stand: the arrays are far longer.
        at = rng.randrange(len(content) if i % 2 else min(len(content), 130))
        path.write_bytes(content[:at] + bytes([content[at] ^ (1 << rng.randrange(8))]) + content[at + 1 :])
        try:
            believed = cache.load(key)
        except DamagedEntryError as error:
            refused.append(str(error))
        else:
            assert path.name == SIDECAR  # white space; of an array every byte counts
            assert_same(believed, features(4))
        path.write_bytes(content)
    assert not any("\n" in message for message in refused)
    assert len(refused) > 550
    assert_same(cache.load(key), features(4))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("format_version", 1),
        ("features_version", 0),
        ("roi_order", list(ROI_NAMES)[::-1]),
        ("landmark_mesh_points", list(KEPT_MESH_POINTS)[::-1]),
        ("features_version", None),
    ],
)
def test_features_of_another_version_are_refused(stored, name, value):
    cache, key = stored
    path = cache.folder / key.entry_name / SIDECAR
    sidecar = json.loads(path.read_text())
    sidecar[name] = value
    sidecar["crc32"] = cache_module._content_checksum(sidecar)
    path.write_text(json.dumps(sidecar))
    for load in (lambda: cache.load(key), lambda: cache.load_entry(key.entry_name)):
        with pytest.raises(DamagedEntryError, match=f"another version.*{name}"):
            load()


def test_an_entry_is_found_by_its_name_too(stored):
    cache, key = stored
    assert_same(cache.load_entry(key.entry_name), features())
    assert cache.load_entry("some_video-0123") is None
    (cache.folder / key.entry_name).rename(cache.folder / "some_video-01234567890123456789")
    with pytest.raises(DamagedEntryError, match="another key"):
        cache.load_entry("some_video-01234567890123456789")


def test_an_entry_read_while_it_is_replaced_stays_readable(stored):
    cache, key = stored
    before = cache.load(key)
    cache.store(key, features(seed=5))
    assert_same(before, features())
    assert_same(cache.load(key), features(seed=5))


def test_wrong_arrays_are_refused_and_leave_nothing(tmp_path, source):
    cache, key = FeatureCache(tmp_path / "cache"), cache_key(source, OPTIONS)
    with pytest.raises(ValueError, match="snippets"):
        cache.store(key, replace(features(), snippets=np.zeros((30, 17, 10, 2))))
    assert list(cache.folder.iterdir()) == []


_WRITER = """
import os, sys
sys.path[:0] = sys.argv[1].split(os.pathsep)
from test_cache import OPTIONS, FeatureCache, cache_key, features
cache, key = FeatureCache(sys.argv[2]), cache_key(sys.argv[3], OPTIONS)
content = features(3000)
print("ready", flush=True)
while True:
    cache.store(key, content)
"""


def test_killed_writers_leave_a_whole_entry_or_none_and_no_litter(tmp_path, source):
    cache, key = FeatureCache(tmp_path / "cache"), cache_key(source, OPTIONS)
    expected = features(3000)
    rng = random.Random(3)
    littered = 0
    for _ in range(5):
        writer = subprocess.Popen(
            [sys.executable, "-c", _WRITER, os.pathsep.join(sys.path), cache.folder, source], stdout=subprocess.PIPE
        )
        with writer:
            assert writer.stdout.readline() == b"ready\n"
            while not list(cache.folder.glob(".*.tmp")):
                time.sleep(0.001)
            time.sleep(0.02 * rng.random())
            writer.send_signal(signal.SIGKILL)
        littered += bool(list(cache.folder.glob(".*.tmp")))
        found = cache.load(key)
        if found is not None:
            assert_same(found, expected)
    assert littered > 0, "no writer was killed in the act: the test shows nothing"
    cache.store(key, expected)
    assert [p.name for p in cache.folder.iterdir()] == [key.entry_name]


_WRITER_AT_WORK = """
import os, sys
sys.path[:0] = sys.argv[1].split(os.pathsep)
os.getpid = lambda: 2**22 + 1  # as in a container, where numbers of processes say nothing outside
from test_cache import OPTIONS, FeatureCache, cache_key, features
write = FeatureCache._write
def slowly(folder, key, content):
    print("ready", flush=True)
    sys.stdin.readline()
    write(folder, key, content)
FeatureCache._write = staticmethod(slowly)
FeatureCache(sys.argv[2]).store(cache_key(sys.argv[3], OPTIONS), features())
"""


def writer_at_work(cache, source):
    """A process that has begun to store an entry and goes on once it is written to."""
    writer = subprocess.Popen(
        [sys.executable, "-c", _WRITER_AT_WORK, os.pathsep.join(sys.path), cache.folder, source],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert writer.stdout.readline() == b"ready\n"
    return writer


def test_a_running_writers_folder_is_left_alone(tmp_path, source):
    cache, key = FeatureCache(tmp_path / "cache"), cache_key(source, OPTIONS)
    other = tmp_path / "other.mp4"
    other.write_bytes(b"x")
    with writer_at_work(cache, source) as writer:
        cache.store(cache_key(other, OPTIONS), features(seed=1))
        cache.remove_abandoned()
        assert len(list(cache.folder.glob(".*.tmp"))) == 1
        writer.communicate(b"go on\n")
    assert writer.returncode == 0
    assert_same(cache.load(key), features())
    assert len(list(cache.folder.iterdir())) == 2


def test_a_killed_writers_folder_is_removed_at_once(tmp_path, source):
    cache = FeatureCache(tmp_path / "cache")
    with writer_at_work(cache, source) as writer:
        writer.kill()
    older = cache.folder / ".some.host.1.0123abcd.tmp"  # as earlier versions named theirs
    older.mkdir()
    mine = cache.folder / ".kept.tmp"
    mine.mkdir()
    assert len(list(cache.folder.glob(".*.tmp"))) == 3
    cache.remove_abandoned()
    assert [p.name for p in cache.folder.iterdir()] == [mine.name]


def test_a_writer_overtaken_by_a_clean_up_starts_again(tmp_path, source, monkeypatch):
    cache, key = FeatureCache(tmp_path / "cache"), cache_key(source, OPTIONS)
    acquire, tries = cache_module.FileLock.acquire, []

    def overtaken(lock, *args, **kwargs):
        tries.append(lock.lock_file)
        if len(tries) == 1:
            raise cache_module.Timeout(lock.lock_file)
        return acquire(lock, *args, **kwargs)

    cache.folder.mkdir()
    monkeypatch.setattr(cache_module.FileLock, "acquire", overtaken)
    cache.store(key, features())
    assert len(set(tries)) == 2
    assert_same(cache.load(key), features())


def test_two_processes_storing_the_same_entry(tmp_path, source):
    cache, key = FeatureCache(tmp_path / "cache"), cache_key(source, OPTIONS)
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", _WRITER, os.pathsep.join(sys.path), cache.folder, source],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    for writer in writers:
        assert writer.stdout.readline() == b"ready\n"
    time.sleep(0.5)
    still_running = [writer.poll() is None for writer in writers]
    for writer in writers:
        writer.kill()
        _, errors = writer.communicate()
        assert b"Traceback" not in errors, errors.decode()
    assert still_running == [True, True]
    cache.store(key, features(3000))
    assert_same(cache.load(key), features(3000))
    assert [p.name for p in cache.folder.iterdir()] == [key.entry_name]
