"""Bodies are bounded while they are received and while they are decompressed; one encoding, and no other."""

import gzip
import zlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from hetzner_cloud.body_reader import MAX_BODY_BYTES, UnusableBodyError, read_body

BODY = b'{"images": []}' * 100
PACKED = gzip.compress(BODY)


class Parts(httpx.AsyncByteStream):
    """A body in parts; records how many were taken."""

    def __init__(self, *parts: bytes) -> None:
        self.parts = parts
        self.taken = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self.parts:
            self.taken += 1
            yield part


def response(*parts: bytes, encoding: str | list[str] = "gzip") -> httpx.Response:
    values = [encoding] if isinstance(encoding, str) else encoding
    return httpx.Response(200, stream=Parts(*parts), headers=[("Content-Encoding", one) for one in values])


@pytest.mark.parametrize("encoding", ["", "identity", "Identity", " identity "])
async def test_a_body_is_read_as_it_is_when_it_is_not_encoded(encoding: str) -> None:
    assert await read_body(response(BODY[:5], BODY[5:], encoding=encoding)) == BODY


async def test_a_body_is_read_when_nothing_is_said_about_its_encoding() -> None:
    assert await read_body(httpx.Response(200, stream=Parts(BODY))) == BODY


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "x-gzip"])
@pytest.mark.parametrize("size", [1, 7, len(PACKED)])
async def test_a_body_is_decompressed_whatever_its_parts_are(encoding: str, size: int) -> None:
    parts = [PACKED[at : at + size] for at in range(0, len(PACKED), size)]
    assert await read_body(response(*parts, encoding=encoding)) == BODY


async def test_an_empty_body_is_empty_though_it_is_said_to_be_compressed() -> None:
    assert await read_body(response()) == b""


@pytest.mark.parametrize(
    "encoding",
    ["gzip, gzip", ["gzip", "gzip"], "gzip, identity", "deflate", "br", "zstd", "gzip,", "compress", "none"],
    ids=str,
)
async def test_any_other_or_repeated_encoding_is_named_and_nothing_is_read(encoding: Any) -> None:
    received = response(gzip.compress(PACKED), encoding=encoding)
    first = (encoding if isinstance(encoding, str) else encoding[0]).strip(",")
    with pytest.raises(UnusableBodyError, match=rf"Content-Encoding is {first}"):
        await read_body(received)
    assert isinstance(received.stream, Parts)
    assert received.stream.taken == 0


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ([b"{}"], "invalid"),
        ([zlib.compress(BODY)], "invalid"),
        ([PACKED[:-4] + b"\0\0\0\0"], "invalid"),
        ([PACKED[:-1]], "is truncated"),
        ([PACKED[:5]], "is truncated"),
        ([PACKED + b"x"], "followed by other data"),
        ([PACKED, b"x"], "followed by other data"),
        ([PACKED + PACKED], "followed by other data"),
    ],
    ids=["no gzip", "zlib", "wrong length", "one byte less", "header only", "more", "part more", "twice"],
)
async def test_gzip_data_is_rejected_when_it_is(parts: list[bytes], reason: str) -> None:
    with pytest.raises(UnusableBodyError, match=reason):
        await read_body(response(*parts))


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
async def test_the_longest_body_is_read_and_a_byte_more_is_not(encoding: str) -> None:
    def sent(size: int) -> bytes:
        return gzip.compress(b" " * size, 1) if encoding == "gzip" else b" " * size

    longest = await read_body(response(sent(MAX_BODY_BYTES), encoding=encoding))
    assert len(longest) == MAX_BODY_BYTES
    with pytest.raises(UnusableBodyError, match=f"more than {MAX_BODY_BYTES} bytes"):
        await read_body(response(sent(MAX_BODY_BYTES + 1), encoding=encoding))


async def test_no_more_is_decompressed_than_the_bound_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    made = 0
    decompressobj = zlib.decompressobj

    class Counting:
        def __init__(self, wbits: int) -> None:
            self._stream = decompressobj(wbits=wbits)

        def decompress(self, part: bytes, max_length: int) -> bytes:
            nonlocal made
            data = self._stream.decompress(part, max_length)
            made += len(data)
            return data

        def __getattr__(self, name: str) -> Any:
            return getattr(self._stream, name)

    monkeypatch.setattr(zlib, "decompressobj", Counting)
    bomb = gzip.compress(b" " * (4 * MAX_BODY_BYTES))
    with pytest.raises(UnusableBodyError, match="more than"):
        await read_body(response(bomb))
    assert made == MAX_BODY_BYTES + 1


async def test_the_compressed_bytes_are_bounded_too() -> None:
    empty_blocks = zlib.compressobj(wbits=31)
    head = empty_blocks.compress(b"") + empty_blocks.flush(zlib.Z_FULL_FLUSH)
    nothing = empty_blocks.flush(zlib.Z_FULL_FLUSH) or b"\x00\x00\x00\xff\xff"  # decompresses to nothing
    received = response(head, *[nothing * (2**20 // len(nothing))] * 20)
    with pytest.raises(UnusableBodyError, match="more than"):
        await read_body(received)
    assert isinstance(received.stream, Parts)
    assert received.stream.taken < 15


async def test_a_body_in_thousands_of_parts_is_not_read_to_its_end() -> None:
    parts = [b" "] * 100_000  # each takes time, and nothing else runs while many have arrived
    received = response(*parts, encoding="identity")
    with pytest.raises(UnusableBodyError, match="more than 10000 parts"):
        await read_body(received)
    assert isinstance(received.stream, Parts)
    assert received.stream.taken == 10_001
