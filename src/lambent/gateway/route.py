"""From an HTTP request to an operation of a model. Pure; knows no service by name.

A label is one segment of the raw path, decoded once: an ARN in it may hold an encoded slash and stays whole.
Operations that share a path are told apart by the constants in the query of their model's URI.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, unquote_to_bytes

from lambent.aws.errors import ApiError
from lambent.aws.shapes import OperationModel, ServiceModel
from lambent.gateway.protocols.shapes import bad_value

# No segment of a request holds a slash, so these stand for labels among the literal children of a node.
LABEL: Final = "/label"
GREEDY: Final = "/greedy"


class Match(NamedTuple):
    operation: OperationModel
    labels: Mapping[str, str]
    parameters: dict[str, Any] | None = None
    """Set by a short way: everything but the payload is parsed and valid already."""


@dataclass(frozen=True, slots=True)
class _Leaf:
    operation: OperationModel
    label_names: tuple[str, ...]
    query: Mapping[str, str | None]
    """Constants of the model's URI; None where only the key is given."""


@dataclass(slots=True)
class _Node:
    children: dict[str, "_Node"] = field(default_factory=dict)
    leaves: list[_Leaf] = field(default_factory=list)


class RestRouter:
    """For the protocols that route by method and path."""

    def __init__(self, model: ServiceModel) -> None:
        self._roots: dict[str, _Node] = {}
        for name in model.operation_names:
            self._add(model.operation_model(name))

    def match(self, method: str, path: str, query: str, target: str | None) -> Match:
        """`path` and `query` as on the wire. Raises `ApiError` UnknownOperationException 404."""
        segments = path.split("/")[1:]
        if len(segments) > 1 and segments[-1] == "":
            # Older SDKs send a trailing slash.
            segments.pop()
        root = self._roots.get(method)
        if root is not None:
            for leaves, values in _walk(root, segments, ()):
                leaf = _choose(leaves, query)
                if leaf is not None:
                    labels = zip(leaf.label_names, map(decode_label, values), strict=True)
                    return Match(leaf.operation, dict(labels))
        raise ApiError(
            "UnknownOperationException", f"Unable to determine operation of {method} {path[:200]}", status=404
        )

    def _add(self, operation: OperationModel) -> None:
        path, _, query = operation.http["requestUri"].partition("?")
        node = self._roots.setdefault(operation.http["method"], _Node())
        names = []
        for segment in path.rstrip("/").split("/")[1:]:
            if segment.startswith("{"):
                greedy = segment.endswith("+}")
                names.append(segment[1:-2] if greedy else segment[1:-1])
                segment = GREEDY if greedy else LABEL
            node = node.children.setdefault(segment, _Node())
        constants = {key: value or None for key, value in parse_qsl(query, keep_blank_values=True)}
        node.leaves.append(_Leaf(operation, tuple(names), constants))
        # The most specific first, so that the plain operation is the last resort.
        node.leaves.sort(key=lambda leaf: -len(leaf.query))


class TargetRouter:
    """For the protocols that name the operation in `X-Amz-Target: Prefix.Operation`."""

    def __init__(self, model: ServiceModel) -> None:
        self._prefix = model.metadata["targetPrefix"]
        self._operations = {name: model.operation_model(name) for name in model.operation_names}

    def match(self, method: str, path: str, query: str, target: str | None) -> Match:
        prefix, _, name = (target or "").rpartition(".")
        operation = self._operations.get(name)
        if operation is None or prefix != self._prefix or method != "POST":
            raise ApiError("UnknownOperationException", f"Unknown operation {(target or '')[:200]!r}", status=400)
        return Match(operation, {})


class FormRouter:
    """For the protocols that name the operation in the field `Action` of a form."""

    def __init__(self, model: ServiceModel) -> None:
        self._operations = {name: model.operation_model(name) for name in model.operation_names}

    def knows(self, action: str | None) -> bool:
        return action in self._operations

    def match(self, method: str, path: str, query: str, target: str | None) -> Match:
        """`target` is the Action."""
        operation = self._operations.get(target or "")
        if operation is None:
            raise ApiError("InvalidAction", f"Could not find operation {(target or '')[:200]!r}", status=400)
        return Match(operation, {})


Router = RestRouter | TargetRouter | FormRouter


def router_of(model: ServiceModel) -> Router:
    if model.metadata["protocol"] == "query":
        return FormRouter(model)
    return TargetRouter(model) if "targetPrefix" in model.metadata else RestRouter(model)


def _walk(node: _Node, segments: list[str], values: tuple[str, ...]) -> Iterator[tuple[list[_Leaf], tuple[str, ...]]]:
    if not segments:
        if node.leaves:
            yield node.leaves, values
        return
    head, rest = segments[0], segments[1:]
    if head in node.children:
        yield from _walk(node.children[head], rest, values)
    if head and LABEL in node.children:
        yield from _walk(node.children[LABEL], rest, (*values, head))
    if head and GREEDY in node.children:
        # Greedy labels end with the path, or before literal segments.
        greedy = node.children[GREEDY]
        for length in range(len(segments), 0, -1):
            yield from _walk(greedy, segments[length:], (*values, "/".join(segments[:length])))


def _choose(leaves: list[_Leaf], query: str) -> _Leaf | None:
    if len(leaves) == 1 and not leaves[0].query:
        return leaves[0]
    sent = dict(parse_qsl(query, keep_blank_values=True))
    for leaf in leaves:
        if all(key in sent and (value is None or sent[key] == value) for key, value in leaf.query.items()):
            return leaf
    return None


def decode_label(segment: str) -> str:
    if "%" not in segment:
        return segment
    try:
        return unquote_to_bytes(segment).decode()
    except UnicodeDecodeError as error:
        raise bad_value("Path is not valid UTF-8") from error
