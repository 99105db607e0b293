"""A service's model as objects: its operations, and the shapes of what they take and return.

Reads the documents of botocore and has the names of `botocore.model`, as far as a server asks for them. That module
itself takes a whole client with it, HTTP and its TLS included: 5 MB and a tenth of a start. Made as they are asked for.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Final, TypeAlias

Document: TypeAlias = Mapping[str, Any]

_SERIALIZATION: Final = frozenset(
    (
        "event",
        "eventheader",
        "eventpayload",
        "eventstream",
        "flattened",
        "hostLabel",
        "jsonvalue",
        "location",
        "locationName",
        "payload",
        "queryName",
        "resultWrapper",
        "streaming",
        "timestampFormat",
        "xmlAttribute",
        "xmlNamespace",
    )
)
_METADATA: Final = frozenset(
    (
        "document",
        "enum",
        "error",
        "exception",
        "idempotencyToken",
        "max",
        "min",
        "pattern",
        "required",
        "requiresLength",
        "sensitive",
        "union",
    )
)
_PROTOCOLS: Final = ("json", "rest-json", "rest-xml", "smithy-rpc-v2-cbor", "query", "ec2")
"""The first of them that a service speaks is taken, as by botocore's clients."""


class Shape:
    """Of a value, with what the member says of it that refers to it. `type_name` is that of the model: `string`."""

    def __init__(self, name: str, document: Document, shapes: Document) -> None:
        self.name = name
        self.type_name: str = document["type"]
        self._document = document
        self._shapes = shapes

    @cached_property
    def serialization(self) -> dict[str, Any]:
        """How it is written; `locationName` is called `name`."""
        found = {key: value for key, value in self._document.items() if key in _SERIALIZATION}
        if "locationName" in found:
            found["name"] = found.pop("locationName")
        return found

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """What holds for its values."""
        return {key: value for key, value in self._document.items() if key in _METADATA}

    @property
    def required_members(self) -> list[str]:
        required: list[str] = self.metadata.get("required", [])
        return required

    @property
    def enum(self) -> list[str]:
        enum: list[str] = self.metadata.get("enum", [])
        return enum

    def _referred(self, reference: Document) -> "Shape":
        return _shape(self._shapes, reference)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}({self.name})>"


class StructureShape(Shape):
    @cached_property
    def members(self) -> dict[str, Shape]:
        return {name: self._referred(each) for name, each in self._document.get("members", {}).items()}

    @cached_property
    def event_stream_name(self) -> str | None:
        """The member that is a stream of events."""
        found = (name for name, each in self.members.items() if each.serialization.get("eventstream"))
        return next(found, None)

    @property
    def error_code(self) -> str | None:
        """None where it is no error."""
        if not self.metadata.get("exception", False):
            return None
        code: str = self.metadata.get("error", {}).get("code") or self.name
        return code


class ListShape(Shape):
    @cached_property
    def member(self) -> Shape:
        return self._referred(self._document["member"])


class MapShape(Shape):
    @cached_property
    def key(self) -> Shape:
        return self._referred(self._document["key"])

    @cached_property
    def value(self) -> Shape:
        return self._referred(self._document["value"])


_CLASSES: Final[Mapping[str, type[Shape]]] = {"structure": StructureShape, "list": ListShape, "map": MapShape}


def _shape(shapes: Document, reference: Document) -> Shape:
    """`reference` is `{"shape": name}`, with what the member adds to that shape."""
    name = reference["shape"]
    document = shapes[name]
    if len(reference) > 1:
        document = {**document, **{key: value for key, value in reference.items() if key != "shape"}}
    return _CLASSES.get(document["type"], Shape)(name, document, shapes)


class ServiceModel:
    """`document` is the model; it is kept, and must not change."""

    def __init__(self, document: Document, name: str) -> None:
        self.document = document
        self.service_name = name
        self.metadata: Mapping[str, Any] = document["metadata"]
        self._shapes: Document = document["shapes"]
        self._operations: dict[str, OperationModel] = {}

    @cached_property
    def operation_names(self) -> list[str]:
        return list(self.document["operations"])

    @cached_property
    def shape_names(self) -> list[str]:
        return list(self._shapes)

    @property
    def signing_name(self) -> str:
        return str(self.metadata.get("signingName", self.endpoint_prefix))

    @property
    def endpoint_prefix(self) -> str:
        return str(self.metadata["endpointPrefix"])

    @property
    def api_version(self) -> str:
        return str(self.metadata["apiVersion"])

    @cached_property
    def resolved_protocol(self) -> str:
        spoken = self.metadata.get("protocols")
        if not spoken:
            return str(self.metadata["protocol"])
        return next(each for each in _PROTOCOLS if each in spoken)

    @cached_property
    def error_shapes(self) -> list[StructureShape]:
        return [self.shape_for(name) for name, shape in self._shapes.items() if shape.get("exception", False)]

    # Of any type for the reader, as are the parts of an operation: who asks for a shape by its name knows its kind.
    def shape_for(self, name: str) -> Any:
        """A Shape. Raises KeyError."""
        return _shape(self._shapes, {"shape": name})

    def operation_model(self, name: str) -> "OperationModel":
        """Raises KeyError."""
        if name not in self._operations:
            self._operations[name] = OperationModel(name, self.document["operations"][name], self)
        return self._operations[name]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.service_name})"


class OperationModel:
    def __init__(self, name: str, document: Document, service_model: ServiceModel) -> None:
        self.name = name
        self.service_model = service_model
        self.metadata = service_model.metadata
        self.http: Mapping[str, Any] = document.get("http", {})
        self._document = document

    @property
    def documentation(self) -> str:
        return str(self._document.get("documentation", ""))

    @cached_property
    def input_shape(self) -> Any:
        """A StructureShape, or None."""
        return self._part("input")

    @cached_property
    def output_shape(self) -> Any:
        """A StructureShape, or None."""
        return self._part("output")

    @cached_property
    def error_shapes(self) -> list[Any]:
        """StructureShapes of the errors that it says it may end with."""
        return [_shape(self.service_model.document["shapes"], each) for each in self._document.get("errors", [])]

    @property
    def deprecated(self) -> bool:
        return bool(self._document.get("deprecated", False))

    @property
    def http_checksum(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._document.get("httpChecksum", {})
        return found

    @cached_property
    def has_event_stream_input(self) -> bool:
        return self.get_event_stream_input() is not None

    @cached_property
    def has_event_stream_output(self) -> bool:
        return self.get_event_stream_output() is not None

    @cached_property
    def has_streaming_input(self) -> bool:
        return _streamed(self.input_shape) is not None

    @cached_property
    def has_streaming_output(self) -> bool:
        return _streamed(self.output_shape) is not None

    def get_event_stream_input(self) -> Any:
        return _events(self.input_shape)

    def get_event_stream_output(self) -> Any:
        """A StructureShape whose members are the events, or None."""
        return _events(self.output_shape)

    def _part(self, name: str) -> Shape | None:
        reference = self._document.get(name)
        return None if reference is None else _shape(self.service_model.document["shapes"], reference)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name})"


def _events(shape: StructureShape | None) -> Shape | None:
    if shape is None or shape.event_stream_name is None:
        return None
    return shape.members[shape.event_stream_name]


def _streamed(shape: StructureShape | None) -> Shape | None:
    if shape is None or (payload := shape.serialization.get("payload")) is None:
        return None
    member = shape.members[payload]
    return member if member.type_name == "blob" else None
