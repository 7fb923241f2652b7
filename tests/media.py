"""Recordings made on the spot for tests: every one a public-domain portrait, animated, or something that is no face."""

import struct
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import cv2
import numpy as np

TIME_BASE = Fraction(1, 12800)
# Display matrices (a, b, c, d) of ISO 14496-12 that make a player turn the coded picture this far clockwise.
_CLOCKWISE = {0: (1, 0, 0, 1), 90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}


@cache
def portrait(size: int = 256) -> np.ndarray:
    """(size, size, 3) uint8 RGB, one face in the upper middle."""
    from skimage.data import astronaut

    return cv2.resize(astronaut()[:320, 64:384], (size, size), interpolation=cv2.INTER_AREA)


def moving_face(n_frames: int, size: int = 256) -> Iterator[np.ndarray]:
    """The portrait with its mouth region drifting and swaying a little, no two neighbouring frames alike."""
    still = portrait(size)
    ys, xs = np.mgrid[:size, :size].astype(np.float32)
    mouth = np.exp(-(((xs - 0.52 * size) / (0.12 * size)) ** 2 + ((ys - 0.5 * size) / (0.08 * size)) ** 2))
    for i in range(n_frames):
        lift = np.float32(0.02 * size * np.sin(2 * np.pi * i / 30))
        sway = np.float32(0.004 * size * np.sin(2 * np.pi * i / 47))
        yield cv2.remap(still, xs + sway, ys + lift * mouth, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def noise(n_frames: int, width: int = 128, height: int = 96) -> Iterator[np.ndarray]:
    """Pictures without a face; the brightness of the top-left quarter counts the frames, up to 63."""
    rng = np.random.default_rng(7)
    background = cv2.resize(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8), (width, height))
    for i in range(n_frames):
        picture = background.copy()
        picture[: height // 2, : width // 2] = i * 4 + 1
        yield picture


def frame_number(rgb: np.ndarray) -> int:
    """Which of the first 64 frames of `noise` a decoded picture is."""
    h, w = rgb.shape[:2]
    return round(float(rgb[h // 8 : h // 4, w // 8 : w // 4].mean()) / 4)


def corners(width: int = 96, height: int = 64) -> np.ndarray:
    """A picture whose orientation shows: red top-left, green top-right, blue bottom-left, white bottom-right."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[: height // 2, : width // 2] = (255, 0, 0)
    picture[: height // 2, width // 2 :] = (0, 255, 0)
    picture[height // 2 :, : width // 2] = (0, 0, 255)
    picture[height // 2 :, width // 2 :] = (255, 255, 255)
    return picture


def corner_colours(rgb: np.ndarray) -> str:
    """The corners of a picture as letters, top-left, top-right, bottom-left, bottom-right: "rgbw" for `corners`."""
    h, w = rgb.shape[:2]
    letters = {(1, 0, 0): "r", (0, 1, 0): "g", (0, 0, 1): "b", (1, 1, 1): "w"}
    points = [(h // 4, w // 4), (h // 4, 3 * w // 4), (3 * h // 4, w // 4), (3 * h // 4, 3 * w // 4)]
    return "".join(letters.get(tuple(int(c > 128) for c in rgb[p]), "?") for p in points)


def write_video(
    path: Path,
    frames: Iterable[np.ndarray],
    fps: float = 30.0,
    *,
    times: Sequence[float] | None = None,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    pixel_aspect: Fraction | None = None,
) -> Path:
    """Encode RGB pictures, at a constant rate or at the given times (seconds)."""
    rate = Fraction(fps).limit_denominator(1000)
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = None
        for i, rgb in enumerate(frames):
            if stream is None:
                stream = container.add_stream(codec, rate=rate, options=options or {})
                stream.width, stream.height, stream.pix_fmt = rgb.shape[1], rgb.shape[0], pixel_format
                if pixel_aspect is not None:
                    stream.codec_context.sample_aspect_ratio = pixel_aspect
                if pixel_format == "gray":
                    stream.codec_context.color_range = 2  # full range, which is how swscale makes gray pictures
                if times is not None:
                    stream.codec_context.time_base = TIME_BASE
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            if times is not None:
                frame.time_base, frame.pts = TIME_BASE, round(times[i] / TIME_BASE)
            else:
                frame.time_base, frame.pts = 1 / rate, i
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_images(folder: Path, frames: Iterable[np.ndarray], name: str = "img_{}.png") -> Path:
    folder.mkdir(parents=True)
    for i, rgb in enumerate(frames):
        cv2.imwrite(str(folder / name.format(i + 1)), rgb[..., ::-1])
    return folder


def set_rotation(mp4: Path, clockwise: int, *, mirrored: bool = False) -> Path:
    """Write a display matrix into the track header of an MP4 file, as phones do."""
    a, b, c, d = _CLOCKWISE[clockwise]
    if mirrored:
        a, b = -a, -b
    data = bytearray(mp4.read_bytes())
    matrix = data.index(b"tkhd") + 4 + 40
    data[matrix : matrix + 36] = struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    mp4.write_bytes(data)
    return mp4


def set_avi_frame_count(avi: Path, count: int) -> Path:
    """Let the headers of an AVI file lie about its length."""
    data = bytearray(avi.read_bytes())
    main, stream = data.index(b"avih") + 8 + 16, data.index(b"strh") + 8 + 32
    for at in (main, stream):
        data[at : at + 4] = struct.pack("<I", count)
    avi.write_bytes(data)
    return avi


def set_avi_frame_period(avi: Path, seconds: int) -> Path:
    """Let the headers of an AVI file say that every picture stays this long."""
    data = bytearray(avi.read_bytes())
    stream = data.index(b"strh") + 8 + 20
    data[stream : stream + 8] = struct.pack("<II", seconds, 1)
    avi.write_bytes(data)
    return avi


def set_last_ogg_time(ogg: Path, frames: int) -> Path:
    """Let the last page of an Ogg file with VP8 in it claim to end at this frame."""
    data = bytearray(ogg.read_bytes())
    page = data.rindex(b"OggS")
    data[page + 6 : page + 14] = struct.pack("<Q", frames << 32)
    data[page + 22 : page + 26] = bytes(4)  # where the checksum stands counts as zeros
    checksum = 0
    for byte in data[page:]:
        checksum ^= byte << 24
        for _ in range(8):
            checksum = (checksum << 1 ^ (0x04C11DB7 if checksum & 0x80000000 else 0)) & 0xFFFFFFFF
    data[page + 22 : page + 26] = struct.pack("<I", checksum)
    ogg.write_bytes(data)
    return ogg


def truncate(path: Path, fraction: float) -> Path:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * fraction)])
    return path


def excerpt(video: Path, target: Path, seconds: float) -> Path:
    """The beginning of a video, its packets copied into another file."""
    with av.open(str(video)) as source, av.open(str(target), "w") as copy:
        stream = source.streams.video[0]
        out = copy.add_stream_from_template(stream)
        for packet in source.demux(stream):
            if packet.dts is not None and packet.pts * stream.time_base < seconds:
                packet.stream = out
                copy.mux(packet)
    return target


def two_faces(n_frames: int, size: int = 256) -> Iterator[np.ndarray]:
    """The moving portrait beside a mirrored still one, side by side in one picture."""
    still = portrait(size)[:, ::-1]
    for picture in moving_face(n_frames, size):
        yield np.concatenate([picture, still], axis=1)
