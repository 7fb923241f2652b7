"""Whether a file's own structure says that its end is missing, in containers whose demuxers pass over it.

FFmpeg sets the length of a cut AVI file by what is left of it and reads transport streams and Ogg as far as they go, so
that none of them differs from a shorter recording once it is opened. Matroska files, and MP4 files with
their index first, still state their length, but less than half a second that is missing of it could also be a header
that errs.
"""

import os
import struct
from pathlib import Path
from typing import BinaryIO

_RIFF_HEADER_BYTES = 8
_TS_SYNC = b"\x47"
_TS_PACKET_BYTES = (188, 192, 204)  # plain, with time codes (Blu-ray, AVCHD), with error correction
_TS_PROBED_PACKETS = 8
# Microsoft's Advanced Systems Format, 3.2: the object that tells the size of the whole file, 24 bytes after its start.
_ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_ASF_SIZE_OFFSET = 40
_ASF_HEADER_BYTES = 1 << 16
_EBML, _SEGMENT = bytes.fromhex("1a45dfa3"), bytes.fromhex("18538067")
_OGG_CAPTURE = b"OggS"
_OGG_COUNT_OFFSET = 26  # in a page: how many lengths, a byte each, stand between its header and its content
_OGG_LARGEST_PAGE = 27 + 255 + 255 * 255


def missing_end(path: Path, container: str) -> str | None:
    """Why the file is thought to have been cut off, None where nothing speaks for it.

    container: FFmpeg's name of the format. Raises OSError.
    """
    look = {
        "avi": _cut_avi,
        "mpegts": _cut_transport_stream,
        "asf": _cut_asf,
        "ogg": _cut_ogg,
        "matroska,webm": _cut_matroska,
        "mov,mp4,m4a,3gp,3g2,mj2": _cut_mp4,
    }.get(container)
    if look is None:
        return None
    with path.open("rb") as file:
        return look(file, os.fstat(file.fileno()).st_size)


def _cut_avi(file: BinaryIO, size: int) -> str | None:
    """An AVI file is a row of RIFF chunks, each headed by its length; 0 is that of a writer that could not go back."""
    start = 0
    while start + _RIFF_HEADER_BYTES <= size:
        file.seek(start)
        name, length = struct.unpack("<4sI", file.read(_RIFF_HEADER_BYTES))
        if name != b"RIFF" or length == 0:
            return None
        start += _RIFF_HEADER_BYTES + length + length % 2
    # The byte that makes an odd length even is left out by some writers.
    return f"{start - size} bytes are missing at its end" if start > size + 1 else None


def _cut_transport_stream(file: BinaryIO, size: int) -> str | None:
    """A transport stream is packets of one length. One that ends with a whole packet cannot be told from a shorter."""
    head = file.read((_TS_PROBED_PACKETS + 1) * max(_TS_PACKET_BYTES))
    for length in _TS_PACKET_BYTES:
        for offset in range(length):
            syncs = head[offset::length][:_TS_PROBED_PACKETS]
            if syncs == _TS_SYNC * _TS_PROBED_PACKETS:
                # With time codes the packet begins four bytes before its sync.
                begin = offset - 4 if length == 192 else offset
                return "its last packet is incomplete" if (size - begin) % length else None
    return None


def _cut_asf(file: BinaryIO, size: int) -> str | None:
    head = file.read(_ASF_HEADER_BYTES)
    at = head.find(_ASF_FILE_PROPERTIES) + _ASF_SIZE_OFFSET
    if at < _ASF_SIZE_OFFSET or len(head) < at + 8:
        return None
    (promised,) = struct.unpack_from("<Q", head, at)
    return f"{promised - size} bytes are missing at its end" if promised > size else None


def _cut_matroska(file: BinaryIO, size: int) -> str | None:
    """A Matroska file is a header and one element of a length that is told, but by those who write as they record."""
    at = 0
    for name in (_EBML, _SEGMENT):
        file.seek(at)
        head = file.read(len(name) + 8)
        if not head.startswith(name) or len(head) == len(name):
            return None
        # RFC 8794, 4: as many bytes more as the first one has leading zeros; all ones are an unknown length.
        first = head[len(name)]
        width = 9 - first.bit_length()
        told = int.from_bytes(head[len(name) : len(name) + width]) & (1 << 7 * width) - 1
        if width > 8 or told == (1 << 7 * width) - 1:
            return None
        at += len(name) + width + told
    return f"{at - size} bytes are missing at its end" if at > size else None


def _cut_mp4(file: BinaryIO, size: int) -> str | None:
    """An MP4 file is a row of boxes, each headed by its length (ISO 14496-12, 4.2): 1 is a longer number behind the
    name, 0 whatever is left."""
    start = 0
    while start + 8 <= size:
        file.seek(start)
        head = file.read(16)
        length = int.from_bytes(head[:4])
        if length == 1 and len(head) == 16:
            length = int.from_bytes(head[8:])
        if length < 8:
            return None
        start += length
    return f"{start - size} bytes are missing at its end" if start > size else None


def _cut_ogg(file: BinaryIO, size: int) -> str | None:
    """An Ogg file is pages that tell their length; the last one has to be there to its end."""
    file.seek(max(0, size - _OGG_LARGEST_PAGE))
    tail = file.read()
    page = tail[max(tail.rfind(_OGG_CAPTURE), 0) :]
    lengths = page[_OGG_COUNT_OFFSET + 1 :][: page[_OGG_COUNT_OFFSET]] if len(page) > _OGG_COUNT_OFFSET else None
    if lengths is None or len(page) < _OGG_COUNT_OFFSET + 1 + page[_OGG_COUNT_OFFSET] + sum(lengths):
        return "its last page is incomplete"
    return None
