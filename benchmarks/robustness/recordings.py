"""Recordings of every sort, made on the spot, and what becomes of each: the corpus that `corpus.py` runs.

A face is the public-domain portrait of `tests/media.py`, animated. What is expected is what a user sees of `spot`: the
exit code, and words in what it says.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import av
import numpy as np
from facespot.tests import media

SIZE, N_FRAMES = 160, 20
FOUND, NOT_THERE, NO_VIDEO, NO_FACE, TOO_SHORT = 0, 3, 4, 5, 6
# Used as far as it goes and said to be damaged, or refused, as it depends on where the pictures lie.
DAMAGED = -1
# What is in the file besides the picture -> (ending, codec, pixel format).
FORMATS = {
    "MP4, H.264": (".mp4", "libx264", "yuv420p"),
    "MP4, H.265 10-bit": (".mp4", "libx265", "yuv420p10le"),
    "MP4, AV1": (".mp4", "libsvtav1", "yuv420p"),
    "MOV, ProRes 4:2:2 10-bit": (".mov", "prores_ks", "yuv422p10le"),
    "MOV, QuickTime animation": (".mov", "qtrle", "rgb24"),
    "MOV, PNG": (".mov", "png", "rgb24"),
    "MKV, FFV1": (".mkv", "ffv1", "yuv444p"),
    "AVI, HuffYUV": (".avi", "huffyuv", "yuv422p"),
    "WebM, VP8": (".webm", "libvpx", "yuv420p"),
    "WebM, VP9": (".webm", "libvpx-vp9", "yuv420p"),
    "AVI, MPEG-4": (".avi", "mpeg4", "yuv420p"),
    "AVI, Motion JPEG": (".avi", "mjpeg", "yuvj420p"),
    "AVI, uncompressed": (".avi", "rawvideo", "bgr24"),
    "AVI, MS-MPEG-4": (".avi", "msmpeg4v3", "yuv420p"),
    "WMV": (".wmv", "wmv2", "yuv420p"),
    "FLV": (".flv", "flv", "yuv420p"),
    "MPEG-1 system, MPEG-2": (".mpg", "mpeg2video", "yuv420p"),
    "transport stream, H.264": (".ts", "libx264", "yuv420p"),
    "Ogg, VP8": (".ogv", "libvpx", "yuv420p"),
    "NUT, FFV1": (".nut", "ffv1", "yuv420p"),
    "GIF": (".gif", "gif", "rgb8"),
    "raw H.264": (".h264", "libx264", "yuv420p"),
    "YUV4MPEG": (".y4m", "rawvideo", "yuv420p"),
    "gray": (".mkv", "ffv1", "gray"),
    "gray, 10 bits": (".mkv", "ffv1", "gray10le"),
    "gray, 16 bits": (".mkv", "ffv1", "gray16le"),
    "10 bits, 4:4:4": (".mkv", "ffv1", "yuv444p10le"),
    "12 bits, GBR": (".mkv", "ffv1", "gbrp12le"),
    "alpha": (".mov", "png", "rgba"),
    "alpha, VP9": (".webm", "libvpx-vp9", "yuva420p"),
}
_NAMES = {
    "spaces": "my clip  1 .mp4",
    "quotes": 'it\'s "it".mp4',
    "a line end": "two\nlines.mp4",
    "emoji": "\N{GRINNING FACE}\u200d.mp4",
    "a leading dash": "-o.mp4",
    "bytes that are no UTF-8": os.fsdecode(b"caf\xe9\xff.mp4"),
    "255 bytes": "n" * 251 + ".mp4",
    "255 bytes of two each": "\u00e4" * 125 + "a.mp4",
    "a percent pattern": "%03d%s.mp4",
    "a protocol": "http:x.mp4",
    "brackets and stars": "[a-z]*?.mp4",
    "a formula": "=1+1.mp4",
    "dots only before the ending": "...mp4",
    "from right to left": "\u202e\u05d0.mp4",
}


@dataclass(frozen=True)
class Recording:
    """One input. make: writes it into an empty folder and returns what is given to `spot`. expected: exit code.

    words: part of what is said, in any case. options: of the command.
    """

    what: str
    make: Callable[[Path], Path]
    expected: int
    words: str = ""
    options: tuple[str, ...] = ()


def corpus() -> Iterator[Recording]:
    """All of it, in the order of the table."""
    for what, (suffix, codec, pixel_format) in FORMATS.items():
        yield Recording(what, partial(_encoded, f"a{suffix}", codec=codec, pixel_format=pixel_format), FOUND)
    yield from _clocks()
    yield from _pictures()
    yield from _without()
    for what, suffix, codec, options in (
        ("MP4", ".mp4", "libx264", {}),
        ("MP4 with its index first", ".mp4", "libx264", {"movflags": "faststart"}),
        ("MKV", ".mkv", "libx264", {}),
        ("AVI", ".avi", "mpeg4", {}),
    ):
        for percent in range(0, 100, 5):
            yield Recording(f"{what}, cut off at {percent} %", partial(_cut, suffix, codec, options, percent), DAMAGED)
    yield from _image_folders()
    for what, name in _NAMES.items():
        yield Recording(f"a name with {what}", partial(_encoded, name), FOUND)
    yield Recording("a name of 256 bytes", lambda folder: folder / ("n" * 252 + ".mp4"), NO_VIDEO, "name")


def _encoded(name: str, folder: Path, codec: str = "libx264", pixel_format: str = "yuv420p", n: int = N_FRAMES) -> Path:
    # Under a plain name first: that of the test may be one FFmpeg writes elsewhere.
    plain = folder / f"plain{Path(name).suffix if Path(name).suffix in _suffixes() else '.mp4'}"
    options = {"preset": "10"} if codec == "libsvtav1" else {}
    media.write_video(plain, media.moving_face(n, SIZE), codec=codec, pixel_format=pixel_format, options=options)
    return plain.rename(folder / name)


def _suffixes() -> set[str]:
    return {suffix for suffix, _, _ in FORMATS.values()}


def _clocks() -> Iterator[Recording]:
    steady = np.arange(2 * N_FRAMES) / 30
    jitter = np.sort(steady + np.random.default_rng(1).uniform(0, 0.02, len(steady)))
    gap = np.where(steady > 0.7, steady + 2.0, steady)
    pause = np.where(steady > 0.7, steady + 90.0, steady)

    def timed(times: np.ndarray, folder: Path, suffix: str = ".mp4") -> Path:
        return media.write_video(
            folder / f"a{suffix}", media.moving_face(len(times), SIZE), times=list(times), options={"bf": "0"}
        )

    def restarted(folder: Path) -> Path:
        """Two transport streams, one behind the other: the clock jumps back."""
        path = timed(steady, folder, ".ts")
        path.write_bytes(path.read_bytes() * 2)
        return path

    yield Recording("a variable rate", partial(timed, jitter), FOUND)
    yield Recording("a gap of two seconds", partial(timed, gap), FOUND)
    yield Recording("a pause of a minute and a half", partial(timed, pause), FOUND, "no usable face")
    yield Recording("a clock that jumps back", restarted, FOUND, "repaired")
    yield Recording("240 pictures a second", partial(timed, steady / 8), TOO_SHORT)
    yield Recording(
        "a picture every ten minutes",
        lambda folder: media.set_avi_frame_period(_encoded("a.avi", folder, "mpeg4"), 600),
        NO_VIDEO,
        "too far to see",
    )
    yield Recording(
        "a header that promises ten times the length",
        lambda folder: media.set_avi_frame_count(_encoded("a.avi", folder, "mpeg4"), 10 * N_FRAMES),
        FOUND,
        "damaged",
    )


def _pictures() -> Iterator[Recording]:
    def flat(folder: Path, width: int, height: int, n: int = 12, codec: str = "ffv1") -> Path:
        return media.write_video(
            folder / "a.mkv",
            (np.full((height, width, 3), 90, np.uint8) for _ in range(n)),
            codec=codec,
            pixel_format="yuv420p" if codec != "ffv1" else "yuv444p",
            options={"preset": "ultrafast"} if codec == "libx264" else {},
        )

    def interlaced(folder: Path) -> Path:
        options = {"x264-params": "interlaced=1"}
        return media.write_video(folder / "a.mkv", media.moving_face(N_FRAMES, SIZE), options=options)

    def changing(folder: Path) -> Path:
        """Two raw streams of different sizes, one behind the other."""
        parts = []
        for size in (SIZE, SIZE // 2 * 3):
            name = folder / f"{size}.h264"
            media.write_video(name, media.moving_face(N_FRAMES, size), options={"bf": "0"})
            parts.append(name.read_bytes())
            name.unlink()
        (folder / "a.h264").write_bytes(b"".join(parts))
        return folder / "a.h264"

    def large(folder: Path) -> Path:
        frames = (np.kron(face, np.ones((24, 24, 1), np.uint8)) for face in media.moving_face(10, 320))
        wide = (frame[:4320, :] for frame in frames)
        return media.write_video(folder / "a.mp4", wide, options={"preset": "ultrafast"})

    for clockwise in (90, 180, 270):
        yield Recording(
            f"turned by {clockwise} degrees",
            lambda folder, turn=clockwise: media.set_rotation(_turned(folder, turn), turn),
            FOUND,
        )
    yield Recording("mirrored", lambda folder: media.set_rotation(_encoded("a.mp4", folder), 0, mirrored=True), FOUND)
    yield Recording("interlaced", interlaced, FOUND)
    yield Recording("another size part way", changing, FOUND, "size changes")
    for side in (1, 2, 16):
        yield Recording(f"{side}x{side}", partial(flat, width=side, height=side), NO_FACE, "no face")
    yield Recording("3x2000", partial(flat, width=3, height=2000), NO_FACE, "no face")
    yield Recording("4K without a face", partial(flat, width=3840, height=2160, n=10, codec="libx264"), NO_FACE)
    yield Recording("8K with a face", large, FOUND, "fit into memory")
    yield Recording("one frame", partial(_encoded, "a.mp4", n=1), TOO_SHORT, "at least")
    yield Recording("eight frames", partial(_encoded, "a.mp4", n=8), TOO_SHORT, "at least")
    yield Recording("nobody in it", lambda folder: media.write_video(folder / "a.mp4", media.noise(24)), NO_FACE)


def _turned(folder: Path, clockwise: int) -> Path:
    """Stored lying, as a phone does, so that the matrix sets it upright."""
    frames = (np.ascontiguousarray(np.rot90(face, clockwise // 90)) for face in media.moving_face(N_FRAMES, SIZE))
    return media.write_video(folder / "a.mp4", frames)


def _without() -> Iterator[Recording]:
    def sound(folder: Path, name: str = "a.mka") -> Path:
        with av.open(str(folder / name), "w") as container:
            audio = container.add_stream("pcm_s16le", rate=8000)
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), format="s16", layout="mono")
            frame.sample_rate = 8000
            container.mux(audio.encode(frame))
        return folder / name

    def written(name: str, content: bytes, folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    def pipe(folder: Path) -> Path:
        os.mkfifo(folder / "a.mp4")
        return folder / "a.mp4"

    def loop(folder: Path) -> Path:
        (folder / "a.mp4").symlink_to("a.mp4")
        return folder / "a.mp4"

    def nobody_may(folder: Path) -> Path:
        (folder / "frames").mkdir()
        return folder / "frames"

    playlist = b"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nhttp://127.0.0.1:9/x.ts\n#EXT-X-ENDLIST\n"
    yield Recording("sound alone", sound, NO_VIDEO, "no video")
    yield Recording("sound alone, WAV named .mp4", lambda f: sound(f, "a.wav").rename(f / "a.mp4"), NO_VIDEO)
    for what, name, content in (
        ("no bytes", "a.mp4", b""),
        ("text", "a.txt", b"no pictures in here\n" * 50),
        ("text named .mp4", "a.mp4", b"no pictures in here\n" * 50),
        ("zeros", "a.mp4", bytes(50_000)),
        ("noise", "a.mkv", np.random.default_rng(0).bytes(50_000)),
        ("a playlist into the network", "a.m3u8", playlist),
        ("a concat script", "a.mp4", b"ffconcat version 1.0\nfile /etc/passwd\n"),
        ("a ZIP archive", "a.mp4", b"PK\x05\x06" + bytes(18)),
    ):
        yield Recording(what, partial(written, name, content), NO_VIDEO)
    yield Recording("nothing there", lambda folder: folder / "a.mp4", NOT_THERE, "check the name")
    yield Recording("a FIFO", pipe, NO_VIDEO, "neither a file nor a folder")
    yield Recording("a device", lambda folder: Path("/dev/zero"), NO_VIDEO, "neither a file nor a folder")
    yield Recording("a link to itself", loop, NO_VIDEO, "symbolic links")
    yield Recording("an empty folder", nobody_may, NO_VIDEO)


def _cut(suffix: str, codec: str, container_options: dict[str, str], percent: int, folder: Path) -> Path:
    path = media.write_video(
        folder / f"a{suffix}",
        media.moving_face(36, SIZE),
        codec=codec,
        options={"g": "6"},
        container_options=container_options,
    )
    return media.truncate(path, percent / 100)


def _image_folders() -> Iterator[Recording]:
    rate = ("--fps", "30")

    def images(suffix: str, folder: Path) -> Path:
        return media.write_images(folder / "frames", media.moving_face(N_FRAMES, SIZE), "img_{}" + suffix)

    def exif(suffix: str, folder: Path) -> Path:
        from PIL import Image

        (folder / "frames").mkdir()
        for number, face in enumerate(media.moving_face(N_FRAMES, SIZE)):
            kept = Image.Exif()
            kept[0x0112] = 6
            lying = np.ascontiguousarray(np.rot90(face))
            Image.fromarray(lying).save(folder / "frames" / f"{number:03d}{suffix}", exif=kept)
        return folder / "frames"

    def one_damaged(folder: Path) -> Path:
        (images(".png", folder) / "img_7.png").write_bytes(b"\x89PNG no picture")
        return folder / "frames"

    def two_sizes(folder: Path) -> Path:
        (images(".png", folder) / "img_7.png").unlink()
        media.write_images(folder / "other", [media.portrait(64)], "{}.png")
        (folder / "other" / "1.png").rename(folder / "frames" / "img_7.png")
        return folder / "frames"

    for suffix in (".jpg", ".png", ".bmp", ".tif", ".webp", ".ppm"):
        yield Recording(f"a folder of {suffix[1:].upper()}", partial(images, suffix), FOUND, options=rate)
    for suffix in (".jpg", ".tif", ".png"):
        yield Recording(f"{suffix[1:].upper()} turned by EXIF", partial(exif, suffix), FOUND, options=rate)
    yield Recording("a folder without a rate", partial(images, ".png"), NO_VIDEO, "--fps")
    yield Recording("a damaged image in a folder", one_damaged, FOUND, "could not be decoded", rate)
    yield Recording("two sizes in a folder", two_sizes, NO_VIDEO, "one size", rate)


def _seed(path: Path, codec: str, pixel_format: str) -> Path:
    """Half a second of a face that is followed to the end, so that mutations reach everything behind the decoder."""
    return media.write_video(path, media.moving_face(15, SIZE), codec=codec, pixel_format=pixel_format)


# Name of a file -> its maker, for mutations: small, and of every container.
SEEDS: dict[str, Callable[[Path], Path]] = {
    f"{number:02d}{suffix}": partial(_seed, codec=codec, pixel_format=pixel_format)
    for number, (suffix, codec, pixel_format) in enumerate(FORMATS.values())
    if codec not in ("libsvtav1", "rawvideo") and pixel_format not in ("gray10le", "gbrp12le")
}
