"""The service models of the pinned botocore: the wire, the validation and the coverage page are made from them.

Reads botocore's own data only, never the models that a user may have in their home, so that two machines with one
lock file speak the same API. Documentation is dropped while loading: it is two thirds of a model.
"""

import contextlib
import functools
import gzip
import json
import zlib
from collections.abc import Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import Any, Final

import botocore
import orjson

from lambent.aws.shapes import ListShape, MapShape, ServiceModel, Shape, StructureShape

DATA = Path(botocore.__file__).parent / "data"
_HEAD_BYTES: Final = 4096
"""Of a compressed model; `metadata` is its second member."""
_JSON: Final = json.JSONDecoder()


class UnknownService(KeyError):
    """botocore has no model of this name."""


@functools.cache
def service_model(name: str) -> ServiceModel:
    """The newest API version of a service, by botocore's name of it (`lambda`, `logs`). 2-6 ms the first time.

    Raises `UnknownService`.
    """
    document = orjson.loads(gzip.decompress(_newest(name).read_bytes()))
    for described in _described(document):
        described.pop("documentation", None)
    return ServiceModel(document, name)


def metadata(name: str) -> Mapping[str, Any]:
    """What the model of a service says of the service as a whole. Reads its head alone: 0.1 ms. Raises as above."""
    with _newest(name).open("rb") as file:
        head = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(file.read(_HEAD_BYTES)).decode("utf-8", "ignore")
    found: Mapping[str, Any]
    found, _ = _JSON.raw_decode(head, head.index("{", head.index('"metadata"')))
    return found


def signed_as(signing_name: str) -> tuple[str, ...]:
    """The services whose requests are signed under this name, none when AWS has no such service.

    The first call reads the heads of all models: 60 ms, so not on the event loop.
    """
    return _signing_names().get(signing_name, ())


@functools.cache
def _signing_names() -> Mapping[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for name in sorted(folder.name for folder in DATA.iterdir()):
        with contextlib.suppress(UnknownService):
            described = metadata(name)
            signing_name = described.get("signingName", described["endpointPrefix"])
            found[signing_name] = (*found.get(signing_name, ()), name)
    return found


def children(shape: Shape) -> tuple[Shape, ...]:
    """The shapes of the members of a structure, list or map."""
    if isinstance(shape, StructureShape):
        return tuple(shape.members.values())
    if isinstance(shape, ListShape):
        return (shape.member,)
    if isinstance(shape, MapShape):
        return (shape.key, shape.value)
    return ()


def _newest(name: str) -> Path:
    versions = sorted((DATA / name).glob("*/service-2.json.gz")) if _is_name(name) else []
    if not versions:
        raise UnknownService(name)
    return versions[-1]


def _is_name(text: str) -> bool:
    return text.isascii() and text.replace("-", "").isalnum() and len(text) < 64


def _described(document: dict[str, Any]) -> Iterator[MutableMapping[str, Any]]:
    yield document
    yield from document["operations"].values()
    for shape in document["shapes"].values():
        yield shape
        yield from shape.get("members", {}).values()
