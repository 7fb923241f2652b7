"""A folder of numbered images as a recording."""

import io
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import av
import numpy as np

from ...errors import NotAVideoError
from .frames import Picture
from .pictures import display_matrix, orient, to_rgb
from .stream import VideoStream

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})


class ImageFolder(VideoStream):
    def __init__(self, path: Path, fps: float | None) -> None:
        try:
            self._images = list_images(path)
        except OSError as error:
            raise NotAVideoError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
        if not self._images:
            raise NotAVideoError(
                f"{path}: the folder holds no images; give a video file or a folder of numbered images"
            )
        if fps is None:
            raise NotAVideoError(f"{path}: is a folder of images; say how many were taken a second with --fps")
        if not 0 < fps < float("inf"):
            raise NotAVideoError(f"{path}: images cannot be {fps} a second; give --fps a positive number")
        self._shape: tuple[int, int] | None = None
        super().__init__(path, float(fps), len(self._images))
        numbers = [int(n[-1]) for n in (re.findall(r"\d+", p.stem) for p in self._images) if n]
        if len(numbers) == len(self._images) and len(set(np.diff(numbers))) > 1:
            self.warnings.append("the image numbers have gaps; the images were taken as evenly spaced all the same")

    def close(self) -> None:
        self._iterator.close()

    def _timed_pictures(self) -> Iterator[tuple[float, Callable[[], Picture | None]]]:
        for position, image in enumerate(self._images):
            yield position / self.fps, partial(self._read, image)

    def _read(self, image: Path) -> Picture | None:
        rgb = _read_image(image, self._fit)
        if rgb is None:
            self._note_damage(image)
            return None
        self._shape = self._shape or rgb.shape[:2]
        if rgb.shape[:2] != self._shape:
            raise NotAVideoError(
                f"{self.path}: {image.name} is {rgb.shape[1]}x{rgb.shape[0]}, the images before it "
                f"{self._shape[1]}x{self._shape[0]}; put one recording with one size into a folder"
            )
        return Picture(lambda: rgb)

    def _note_damage(self, image: Path) -> None:
        # At once: an image is read when somebody looks at it, which may be after the last one was handed out.
        if self._damaged_says in self.warnings:
            self.warnings.remove(self._damaged_says)
        self.decode_failures += 1
        self.damage = f"{self.decode_failures} of its images could not be decoded, {image.name} the latest"
        self.warnings.append(self._damaged_says)

    @property
    def _damaged_says(self) -> str:
        return f"damaged: {self.damage}; the others were used"


def list_images(folder: Path) -> list[Path]:
    """The images of a folder in the order of their numbers: img2 before img10. Raises OSError.

    Hidden files are left out, and what only bears an image's name: a pipe would be waited for without end.
    """
    images = [p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith(".")]
    return sorted((p for p in images if p.is_file()), key=_natural_key)


def _natural_key(path: Path) -> tuple[list[tuple[int, str]], str]:
    parts = re.split(r"(\d+)", path.name)
    return [(int(p), "") if i % 2 else (0, p.casefold()) for i, p in enumerate(parts)], path.name


def _read_image(path: Path, fit: Callable[[int, int], tuple[int, int]]) -> np.ndarray | None:
    """(H, W, 3) uint8 upright, of the size `fit` makes of its own; None if it cannot be read or decoded."""
    # Through memory, because FFmpeg takes a % in an image's name as a pattern of numbered files.
    try:
        content = path.read_bytes()
        with av.open(io.BytesIO(content), metadata_errors="replace") as container:
            frame = next(container.decode(video=0), None)
    except (av.FFmpegError, OSError, ValueError, IndexError):
        return None
    if frame is None:
        return None
    return orient(to_rgb(frame, fit(frame.width, frame.height)), display_matrix(frame, content))
