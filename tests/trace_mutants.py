"""Damaged copies of trace files: cut, mixed, re-encoded, with nasty numbers in the place of good ones."""

from __future__ import annotations

import gzip
import random
import re

_NUMBER = re.compile(rb"-?\d+(\.\d+)?")
_KEY = re.compile(rb'"[^"]{1,40}":')
_NASTY = [
    b"nan", b"inf", b"-inf", b"-1", b"0", b"1e308", b"-1e308", b"1e-320", b"9" * 400, b"1" * 5000, b"1e400",
    b"NaN", b"Infinity", b"-Infinity", b"0x10", b"1_000", b"", b" ", b'"', b"null", b"true", b"[]", b"{}",
    b"\xff", b"\x00", "٣".encode(), b"2147483648", b"9223372036854775808", b"1e18", b"-0.0", b"1900-01-01",
    b"1e-300", b"9999-12-31T23:59:59Z", b"0001-01-01T00:00:00Z", b"<script>",
    b"=1+1", b"\x1b[31m", "\u2028".encode(),
]  # fmt: skip


def mutant(seeds: list[bytes], rng: random.Random) -> bytes:
    """One damaged copy of one of the files; of four, one is damaged twice."""
    data = rng.choice(seeds)
    for _ in range(rng.choice([1, 1, 1, 2])):
        data = rng.choice(_WAYS)(data or b"x", rng, seeds)
    return data


def _flip(data: bytes, rng: random.Random, _: list[bytes]) -> bytes:
    bits = bytearray(data)
    for _bit in range(rng.choice([1, 1, 3, 20])):
        bits[rng.randrange(len(bits))] ^= 1 << rng.randrange(8)
    return bytes(bits)


def _cut(data: bytes, rng: random.Random, _: list[bytes]) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] if rng.random() < 0.7 else data[at:]


def _renumber(data: bytes, rng: random.Random, _: list[bytes]) -> bytes:
    found = list(_NUMBER.finditer(data))
    picked = rng.sample(found, min(len(found), rng.choice([1, 1, 1, 2, 5])))
    for one in sorted(picked, key=lambda each: -each.start()):
        data = data[: one.start()] + rng.choice(_NASTY) + data[one.end() :]
    return data


def _reline(data: bytes, rng: random.Random, _: list[bytes]) -> bytes:
    lines = data.split(b"\n")
    way = rng.randrange(5)
    if way == 0:
        rng.shuffle(lines)
    elif way == 1:
        lines.insert(rng.randrange(len(lines)), rng.choice(lines))
    elif way == 2:
        del lines[rng.randrange(len(lines))]
    else:
        lines = lines[:1] + (lines[1:][::-1] if way == 3 else [])
    return b"\n".join(lines)


def _recode(data: bytes, rng: random.Random, _: list[bytes]) -> bytes:
    text = data.decode("latin-1")
    return rng.choice(
        [
            b"\xef\xbb\xbf" + data,
            text.encode("utf-16"),
            text.encode("utf-16-le"),
            text.encode("utf-32"),
            data.replace(b"\n", b"\r\n"),
            data.replace(b"\n", b"\r"),
            data.replace(b"\n", b""),
        ]
    )


def _splice(data: bytes, rng: random.Random, seeds: list[bytes]) -> bytes:
    other = rng.choice(seeds)
    at, start = rng.randrange(len(data)), rng.randrange(len(other))
    return data[:at] + other[start : start + rng.randrange(1, 2000)] + data[at:]


def _double_key(data: bytes, rng: random.Random, _: list[bytes]) -> bytes:
    found = list(_KEY.finditer(data))
    if not found:
        return data
    one = rng.choice(found)
    return data[: one.start()] + one.group() + rng.choice([*_NASTY, b"[1,2]"]) + b"," + data[one.start() :]


def _nest(data: bytes, rng: random.Random, _: list[bytes]) -> bytes:
    found = list(_NUMBER.finditer(data))
    if not found:
        return data
    one, depth = rng.choice(found), rng.choice([50, 900, 5000, 100_000])
    left, right = rng.choice([(b"[", b"]"), (b'{"a":', b"}")])
    return data[: one.start()] + left * depth + b"1" + right * depth + data[one.end() :]


def _insert(data: bytes, rng: random.Random, _: list[bytes]) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + rng.choice(_NASTY) * rng.choice([1, 1, 10]) + data[at:]


def _zip(data: bytes, rng: random.Random, _: list[bytes]) -> bytes:
    zipped = gzip.compress(data, 1)
    return _flip(zipped, rng, []) if rng.random() < 0.5 else zipped


def _separate(data: bytes, rng: random.Random, _: list[bytes]) -> bytes:
    ways = [(b",", b";"), (b",", b"\t"), (b" ", b"  "), (b",", b",,"), (b'"', b"'"), (b"\t", b" ")]
    return data.replace(*rng.choice(ways))


def _swell(data: bytes, rng: random.Random, _: list[bytes]) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + rng.choice([b"a", b"1", b",", b" ", b"[", b'"']) * 100_000 + data[at:]


_WAYS = [
    *[_flip] * 3, *[_cut] * 2, *[_renumber] * 6, *[_reline] * 3, *[_recode] * 2,
    _splice, _double_key, _nest, _insert, _zip, _separate, _swell,
]  # fmt: skip
