"""Digests of bodies while they pass: what S3 calls checksums, and MD5. Pure; a digest is raw bytes, big-endian.

CRC32 is zlib's, the hashes are OpenSSL's. CRC32C and CRC64NVME are anycrc's, which is loaded with the first of them.
"""

import hashlib
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol

MD5: Final = "MD5"
DEFAULT: Final = "CRC64NVME"
"""What S3 computes of an object whose client has sent no checksum."""
LENGTHS: Final[Mapping[str, int]] = {
    "CRC32": 4,
    "CRC32C": 4,
    "CRC64NVME": 8,
    "SHA1": 20,
    "SHA256": 32,
    "SHA512": 64,
    "MD5": 16,
}
"""Of digests, by algorithm: those that are computed here."""
_CRC_MODELS: Final[Mapping[str, str]] = {"CRC32": "CRC32", "CRC32C": "CRC32C", "CRC64NVME": "CRC64-NVME"}


class Digest(Protocol):
    def update(self, piece: bytes, /) -> object: ...

    def digest(self) -> bytes: ...


class _Crc:
    __slots__ = ("_calculate", "_length", "_value")

    def __init__(self, calculate: Callable[[bytes, int], int], length: int) -> None:
        self._calculate = calculate
        self._length = length
        self._value = 0

    def update(self, piece: bytes, /) -> None:
        self._value = self._calculate(piece, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._length, "big")


def new(algorithm: str) -> Digest:
    """Raises `KeyError` for an algorithm that is not in `LENGTHS`."""
    length = LENGTHS[algorithm]
    if algorithm == "CRC32":
        return _Crc(zlib.crc32, length)
    if algorithm in _CRC_MODELS:
        return _Crc(_after(_model(algorithm)), length)
    return hashlib.new(algorithm.lower(), usedforsecurity=False)


def digest_of(algorithm: str, content: bytes) -> bytes:
    found = new(algorithm)
    found.update(content)
    return found.digest()


def combined(algorithm: str, parts: Iterable[tuple[bytes, int]]) -> bytes:
    """The digest of what consists of parts, from their digests and lengths, without reading them again.

    For the CRCs alone: raises `KeyError` for an algorithm that cannot.
    """
    model, whole = _model(algorithm), 0
    for digest, length in parts:
        whole = model.combine(whole, int.from_bytes(digest, "big"), length)
    return whole.to_bytes(LENGTHS[algorithm], "big")


def _model(algorithm: str) -> Any:
    import anycrc

    return anycrc.Model(_CRC_MODELS[algorithm])


def _after(model: Any) -> Callable[[bytes, int], int]:
    calculate: Callable[[bytes, int], int] = model.calc
    return calculate
