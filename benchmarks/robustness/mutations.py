"""What happens to files: bits flip, ends go missing, pieces are lost, doubled or exchanged, numbers become absurd."""

import io
import re
import zipfile
from random import Random

# Where they stand in binary data: sizes, counts and offsets at and past every border.
_INTEGERS = [
    number.to_bytes(size, order)
    for size in (2, 4, 8)
    for number in (0, 1, (1 << 8 * size - 1) - 1, 1 << 8 * size - 1, (1 << 8 * size) - 1)
    for order in ("little", "big")
]
# Where they stand in text.
_WORDS = (
    b"-1 0 1 nan inf -inf 1e308 1e-320 1e999 99999999999999999999 -0.0 2,5 0x10 1_000 null true [] {} \"\" '' ; , \t "
    b'\n \r\n \x00 \xff\xfe \xef\xbb\xbf \xf0\x9f\x98\x80 <!DOCTYPE &lt; &#0; ]]> =1+1 ../../../x macro micro "'
).split(b" ")
_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?")
_MOST_CHANGES = 4


def mutate(data: bytes, rng: Random, other: bytes = b"", *, text: bool = False) -> bytes:
    """One to four changes to the bytes of a file. other: a file to take pieces from. text: numbers and lines too."""
    ways = [_flip, _overwrite, _cut_out, _double, _exchange, _zeros, _integer, _end]
    if text:
        ways += [_number, _number, _number, _word, _word, _line, _nest]
    for _ in range(rng.randint(1, _MOST_CHANGES)):
        if not data:
            break
        if other and rng.random() < 0.05:
            at, start = rng.randrange(len(data)), rng.randrange(len(other))
            data = data[:at] + other[start : start + rng.randint(1, 2000)] + data[at:]
        else:
            data = rng.choice(ways)(data, rng)
    return data


def mutate_zip(data: bytes, rng: Random, *, text: bool) -> bytes:
    """A member of the archive is changed and packed again, with right checksums; sometimes the archive itself."""
    if rng.random() < 0.25:
        return mutate(data, rng)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = rng.choice(sorted(members))
    members[name] = mutate(members[name], rng, rng.choice(list(members.values())), text=text)
    if rng.random() < 0.1:
        del members[rng.choice(sorted(members))]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


def _place(data: bytes, rng: Random) -> int:
    """Anywhere, every other time near the beginning, where the headers are."""
    return rng.randrange(min(len(data), 600) if rng.random() < 0.5 else len(data))


def _flip(data: bytes, rng: Random) -> bytes:
    at = _place(data, rng)
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]


def _overwrite(data: bytes, rng: Random) -> bytes:
    at = _place(data, rng)
    junk = rng.randbytes(rng.choice((1, 4, 16, 300)))
    return data[:at] + junk + data[at + len(junk) :]


def _cut_out(data: bytes, rng: Random) -> bytes:
    at = _place(data, rng)
    return data[:at] + data[at + rng.choice((1, 3, 40, 1000)) :]


def _double(data: bytes, rng: Random) -> bytes:
    at = _place(data, rng)
    return data[:at] + data[at : at + rng.choice((1, 8, 100, 3000))] * rng.choice((2, 3, 20)) + data[at:]


def _exchange(data: bytes, rng: Random) -> bytes:
    first, second = sorted((_place(data, rng), _place(data, rng)))
    size = rng.choice((4, 64, 500))
    one, two = data[first : first + size], data[second : second + size]
    return data[:first] + two + data[first + size : second] + one + data[second + size :]


def _zeros(data: bytes, rng: Random) -> bytes:
    at, size = _place(data, rng), rng.choice((4, 64, 2000))
    return data[:at] + bytes(min(size, len(data) - at)) + data[at + size :]


def _integer(data: bytes, rng: Random) -> bytes:
    at, number = _place(data, rng), rng.choice(_INTEGERS)
    return data[:at] + number + data[at + len(number) :]


def _end(data: bytes, rng: Random) -> bytes:
    return data[: rng.randrange(len(data))] if rng.random() < 0.7 else data + rng.randbytes(rng.randint(1, 5000))


def _number(data: bytes, rng: Random) -> bytes:
    found = list(_NUMBER.finditer(data))
    if not found:
        return data
    number = rng.choice(found)
    return data[: number.start()] + rng.choice(_WORDS) + data[number.end() :]


def _word(data: bytes, rng: Random) -> bytes:
    at = _place(data, rng)
    return data[:at] + rng.choice(_WORDS) + data[at:]


def _line(data: bytes, rng: Random) -> bytes:
    lines = data.splitlines(keepends=True)
    way = rng.randrange(3)
    if way == 0:
        del lines[rng.randrange(len(lines))]
    elif way == 1:
        lines.insert(rng.randrange(len(lines)), rng.choice(lines) * rng.choice((1, 2, 500)))
    else:
        rng.shuffle(lines)
    return b"".join(lines)


def _nest(data: bytes, rng: Random) -> bytes:
    """Deeper than parsers that call themselves can follow."""
    at, bracket = _place(data, rng), rng.choice((b"[", b'{"a":', b"<a>", b'"', b"("))
    return data[:at] + bracket * rng.choice((2, 200, 20_000)) + data[at:]
