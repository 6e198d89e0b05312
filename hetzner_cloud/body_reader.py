"""Reading a response's body: bounded while it is received, and while it is decompressed."""

import zlib

import httpx

MAX_BODY_BYTES = 8 * 2**20  # a page of 50 images is 25 kB; parsed, a hostile one takes 25 times its size
MAX_PARTS = 10_000  # each takes time, and nothing else runs while many have arrived
_GZIP = 31  # zlib's window bits for it
_ENCODINGS = {"": False, "identity": False, "gzip": True, "x-gzip": True}


class UnusableBodyError(Exception):
    """A body is too long, or its encoding is not the one that was requested."""


async def read_body(received: httpx.Response) -> bytes:
    """Read a body to its end and decompress it: gzip once, or nothing.

    Raises:
        UnusableBodyError: It is longer than 8 MiB, compressed or not; it comes in too many parts; it is
            encoded in another way, or more than once; or its gzip data is invalid.
        httpx.RequestError: The connection broke.
    """
    gunzip = _Gunzip() if _is_gzip(received) else None
    body, size, parts = bytearray(), 0, 0
    async for part in received.aiter_raw():
        size, parts = size + len(part), parts + 1
        body += gunzip.decompress(part, MAX_BODY_BYTES + 1 - len(body)) if gunzip else part
        if max(size, len(body)) > MAX_BODY_BYTES:
            raise UnusableBodyError(f"it has more than {MAX_BODY_BYTES} bytes")
        if parts > MAX_PARTS:
            raise UnusableBodyError(f"it has more than {MAX_PARTS} parts")
    if gunzip and size:
        gunzip.require_end()
    return bytes(body)


def _is_gzip(received: httpx.Response) -> bool:
    encoding = received.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in _ENCODINGS:
        raise UnusableBodyError(f"its Content-Encoding is {encoding}, not gzip or identity")
    return _ENCODINGS[encoding]


class _Gunzip:
    """Decompresses one gzip stream."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(wbits=_GZIP)

    def decompress(self, part: bytes, max_length: int) -> bytes:
        """Decompress a part, to so many bytes at most; what would be more is never made."""
        if self._stream.eof:
            raise UnusableBodyError("its gzip data is followed by other data")
        try:
            data = self._stream.decompress(part, max_length)
        except zlib.error as error:
            raise UnusableBodyError(f"its gzip data is invalid: {error}") from None
        if self._stream.unused_data:
            raise UnusableBodyError("its gzip data is followed by other data")
        return data

    def require_end(self) -> None:
        if not self._stream.eof:
            raise UnusableBodyError("its gzip data is truncated")
