"""HTTP content codings, both ways and in pieces: gzip, deflate, lz4 frames, zstd, and br where installed."""

import importlib
import sys
import zlib
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any, Protocol

import lz4.frame

from keytrail.deploy.embedded.gateway.errors import EngineError, ErrorCode

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_PIECE = 1024 * 1024
_BROTLI: Any = importlib.import_module("brotli") if find_spec("brotli") else None
_DAMAGE = (zlib.error, RuntimeError, zstd.ZstdError, *([_BROTLI.error] if _BROTLI else []))


class Encoder(Protocol):
    def feed(self, data: bytes) -> bytes: ...

    def finish(self) -> bytes: ...


class Decoder(Protocol):
    """Raises `EngineError` for damaged data; `finish` for data that ends too early."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Decoded pieces of at most 2 MiB, so that a small body cannot unfold into the memory."""
        ...

    def finish(self) -> None: ...


class _Frame(Protocol):
    """One compressed frame, as the decompressors of lz4 and zstd have it."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes | None: ...

    def decompress(self, data: bytes, max_length: int = ...) -> bytes: ...


class _ZlibFrame:
    """zlib's decompressor in the shape of the others."""

    def __init__(self, window_bits: int) -> None:
        self._inner = zlib.decompressobj(window_bits)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int = _PIECE) -> bytes:
        out = self._inner.decompress(self._inner.unconsumed_tail + data, max_length)
        self.needs_input = not self._inner.unconsumed_tail and len(out) < max_length
        return out


class _BrotliFrame:
    """brotli's decompressor in the shape of the others."""

    unused_data = b""

    def __init__(self) -> None:
        self._inner = _BROTLI.Decompressor()
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return bool(self._inner.is_finished())

    def decompress(self, data: bytes, max_length: int = _PIECE) -> bytes:
        out = bytes(self._inner.process(data, output_buffer_limit=max_length))
        self.needs_input = len(out) < max_length and self._inner.can_accept_more_data()
        return out


class _Frames:
    """Decodes one frame after another: clients compress block by block."""

    def __init__(self, name: str, frame: Callable[[], _Frame], code: ErrorCode) -> None:
        self._name = name
        self._new = frame
        self._code = code
        self._frame: _Frame | None = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data or self._frame:
            if self._frame is None:
                self._frame = self._new()
            try:
                piece = self._frame.decompress(data, max_length=_PIECE)
            except _DAMAGE as error:
                raise EngineError.of(self._code, f"The body is not {self._name}: {error}.") from error
            data = b""
            if piece:
                yield piece
            if self._frame.eof:
                data = self._frame.unused_data or b""
                self._frame = None
            elif self._frame.needs_input:
                return

    def finish(self) -> None:
        if self._frame:
            raise EngineError.of(self._code, f"The body ends in the middle of its {self._name} data.")


class _Plain:
    def feed(self, data: bytes) -> Iterator[bytes]:
        yield data

    def finish(self) -> None:
        return


class _ZlibEncoder:
    def __init__(self, window_bits: int) -> None:
        self._inner = zlib.compressobj(level=3, wbits=window_bits)

    def feed(self, data: bytes) -> bytes:
        return self._inner.compress(data)

    def finish(self) -> bytes:
        return self._inner.flush()


class _Lz4Encoder:
    def __init__(self) -> None:
        self._inner = lz4.frame.LZ4FrameCompressor()
        self._begun = False

    def feed(self, data: bytes) -> bytes:
        start = b"" if self._begun else bytes(self._inner.begin())
        self._begun = True
        return start + bytes(self._inner.compress(data))

    def finish(self) -> bytes:
        return self.feed(b"") + bytes(self._inner.flush())


class _ZstdEncoder:
    def __init__(self) -> None:
        self._inner = zstd.ZstdCompressor(level=1)

    def feed(self, data: bytes) -> bytes:
        return self._inner.compress(data)

    def finish(self) -> bytes:
        return self._inner.flush()


class _BrotliEncoder:
    def __init__(self) -> None:
        self._inner = _BROTLI.Compressor(quality=1)

    def feed(self, data: bytes) -> bytes:
        return bytes(self._inner.process(data))

    def finish(self) -> bytes:
        return bytes(self._inner.finish())


_DECODERS: dict[str, Callable[[], Decoder]] = {
    "identity": _Plain,
    "gzip": lambda: _Frames("gzip", lambda: _ZlibFrame(31), ErrorCode.ZLIB_INFLATE_FAILED),
    "deflate": lambda: _Frames("deflate", lambda: _ZlibFrame(15), ErrorCode.ZLIB_INFLATE_FAILED),
    "lz4": lambda: _Frames("lz4", lz4.frame.LZ4FrameDecompressor, ErrorCode.LZ4_DECODER_FAILED),
    "zstd": lambda: _Frames("zstd", zstd.ZstdDecompressor, ErrorCode.ZSTD_DECODER_FAILED),
}
# The cheapest first: most clients are on the same machine.
_ENCODERS: dict[str, Callable[[], Encoder]] = {
    "lz4": _Lz4Encoder,
    "zstd": _ZstdEncoder,
    "gzip": lambda: _ZlibEncoder(31),
    "deflate": lambda: _ZlibEncoder(15),
}
# Before 1.2 its decompressor cannot give its output in pieces.
if hasattr(getattr(_BROTLI, "Decompressor", None), "can_accept_more_data"):
    _DECODERS["br"] = lambda: _Frames("br", _BrotliFrame, ErrorCode.BROTLI_READ_FAILED)
    _ENCODERS["br"] = _BrotliEncoder


def decoder(content_encoding: str) -> Decoder:
    """Reads a request body; raises `EngineError` (HTTP 415) for a coding that is not known here."""
    name = content_encoding.strip().lower() or "identity"
    if name not in _DECODERS:
        raise EngineError.of(
            ErrorCode.UNSUPPORTED_MEDIA_TYPE,
            f"Content-Encoding {name} is not supported; use one of {', '.join(_DECODERS)}.",
        )
    return _DECODERS[name]()


def encoder(name: str) -> Encoder:
    """Writes a response body in a coding that `choose_coding` gave."""
    return _ENCODERS[name]()


def choose_coding(accept_encoding: str) -> str:
    """The coding for a response, or empty for none; one that the client gives `q=0` is not taken."""
    accepted = set()
    for item in accept_encoding.lower().split(","):
        name, _, quality = item.partition(";")
        if quality.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}:
            accepted.add(name.strip())
    return next((name for name in _ENCODERS if name in accepted), "")
