"""XML as values of a shape and back, for the protocols whose bodies are XML. Pure.

Read with expat, without a tree of anything but elements: a document type is refused, so nothing can be defined in it
that grows or reaches outside. Names are compared without their namespaces.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from xml.parsers import expat

from lambent.aws.shapes import ListShape, MapShape, Shape, StructureShape
from lambent.gateway.protocols.escaping import escape
from lambent.gateway.protocols.shapes import scalar_from_text, scalar_to_text, timestamp_format, wire_name

DECLARATION: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'
DEEPEST: Final = 32
_SPOKEN_AS_REFERENCES: Final = {"\r": "&#13;", '"': "&quot;"}


class Malformed(ValueError):
    """The text is no XML, or not what its shape wants."""


@dataclass(slots=True)
class Element:
    name: str
    attributes: Mapping[str, str]
    children: list["Element"] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.parts)


def read(document: bytes) -> Element:
    """The root. Raises `Malformed`."""
    parser = expat.ParserCreate()
    parser.buffer_text = True
    top = Element("", {})
    open_elements = [top]

    def start(name: str, attributes: dict[str, str]) -> None:
        if len(open_elements) > DEEPEST:
            raise Malformed("too deep")
        element = Element(_local(name), {_local(key): text for key, text in attributes.items()})
        open_elements[-1].children.append(element)
        open_elements.append(element)

    def end(name: str) -> None:
        open_elements.pop()

    def text(data: str) -> None:
        open_elements[-1].parts.append(data)

    def refuse(*_: object) -> None:
        raise Malformed("a document type")

    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, text
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(document, True)
    except (expat.ExpatError, ValueError) as error:
        raise Malformed(str(error)) from error
    return top.children[0]


def _local(name: str) -> str:
    return name.rpartition(":")[2]


def value_of(shape: Shape, element: Element) -> Any:
    """Raises `Malformed`, and `ApiError` for a scalar that is none of its type."""
    if isinstance(shape, StructureShape):
        return structure_of(shape, element)
    if isinstance(shape, ListShape):
        inner = wire_name(shape.member, "member")
        return [value_of(shape.member, child) for child in element.children if child.name == inner]
    if isinstance(shape, MapShape):
        entries = [child for child in element.children if child.name == "entry"]
        return dict(_entry(shape, entry) for entry in entries)
    if element.children:
        raise Malformed(f"{element.name} holds elements")
    if shape.type_name == "blob":
        return scalar_from_text(shape, "".join(element.text.split()), timestamps="iso8601")
    text = element.text
    return scalar_from_text(shape, text if shape.type_name == "string" else text.strip(), timestamps="iso8601")


def structure_of(shape: StructureShape, element: Element) -> dict[str, Any]:
    found: dict[str, Any] = {}
    by_name: dict[str, list[Element]] = {}
    for child in element.children:
        by_name.setdefault(child.name, []).append(child)
    if element.children and "".join(element.parts).strip():
        raise Malformed(f"text beside the elements of {element.name}")
    for name, member in shape.members.items():
        if member.serialization.get("location"):
            continue
        if member.serialization.get("xmlAttribute"):
            text = element.attributes.get(_local(wire_name(member, name)))
            if text is not None:
                found[name] = scalar_from_text(member, text, timestamps="iso8601")
            continue
        elements = by_name.get(member_tag(member, name))
        if elements is None:
            continue
        if _is_flat(member):
            found[name] = _flat(member, elements)
        elif len(elements) > 1:
            raise Malformed(f"{name} stands there more than once")
        else:
            found[name] = value_of(member, elements[0])
    return found


def _flat(shape: Shape, elements: list[Element]) -> Any:
    if isinstance(shape, ListShape):
        return [value_of(shape.member, element) for element in elements]
    assert isinstance(shape, MapShape)
    return dict(_entry(shape, element) for element in elements)


def _entry(shape: MapShape, entry: Element) -> tuple[Any, Any]:
    parts = {child.name: child for child in entry.children}
    key, value = parts.get(wire_name(shape.key, "key")), parts.get(wire_name(shape.value, "value"))
    if key is None or value is None:
        raise Malformed("an entry of a map has a key and a value")
    return value_of(shape.key, key), value_of(shape.value, value)


def _is_flat(shape: Shape) -> bool:
    return isinstance(shape, ListShape | MapShape) and bool(shape.serialization.get("flattened"))


def member_tag(member: Shape, name: str) -> str:
    """A flattened list without a name of its own takes that of its members."""
    if isinstance(member, ListShape) and _is_flat(member) and "name" not in member.serialization:
        return wire_name(member.member, name)
    return wire_name(member, name)


def document(root: str, namespace: str, content: str) -> bytes:
    space = f' xmlns="{namespace}"' if namespace else ""
    body = f"<{root}{space}>{content}</{root}>" if content else f"<{root}{space}/>"
    return f"{DECLARATION}{body}".encode("utf-8", "surrogatepass")


def members_xml(shape: StructureShape, value: Mapping[str, Any]) -> Iterator[str]:
    """In the order of the values; attributes of the structure itself are not among them."""
    for name, item in value.items():
        member = shape.members[name]
        if item is not None and not member.serialization.get("xmlAttribute"):
            yield from xml(member_tag(member, name), member, item)


def xml(tag: str, shape: Shape, value: Any) -> Iterator[str]:
    if isinstance(shape, StructureShape):
        content = "".join(members_xml(shape, value))
        start = f"{tag}{_attributes(shape, value)}"
        yield f"<{start}>{content}</{tag}>" if content else f"<{start}/>"
    elif isinstance(shape, ListShape):
        if _is_flat(shape):
            for item in value:
                yield from xml(tag, shape.member, item)
        else:
            inner = wire_name(shape.member, "member")
            content = "".join(part for item in value for part in xml(inner, shape.member, item))
            yield f"<{tag}>{content}</{tag}>" if content else f"<{tag}/>"
    elif isinstance(shape, MapShape):
        yield from _map(tag, shape, value)
    else:
        yield element(tag, text_of(shape, value))


def _map(tag: str, shape: MapShape, value: Mapping[str, Any]) -> Iterator[str]:
    key, item = wire_name(shape.key, "key"), wire_name(shape.value, "value")
    entries = ["".join((*xml(key, shape.key, k), *xml(item, shape.value, v))) for k, v in value.items()]
    if _is_flat(shape):
        yield from (f"<{tag}>{entry}</{tag}>" for entry in entries)
    else:
        yield f"<{tag}>{''.join(f'<entry>{entry}</entry>' for entry in entries)}</{tag}>"


def _attributes(shape: StructureShape, value: Mapping[str, Any]) -> str:
    found = []
    for name, member in shape.members.items():
        if member.serialization.get("xmlAttribute") and value.get(name) is not None:
            wire = wire_name(member, name)
            prefix = wire.partition(":")[0]
            space = shape.serialization.get("xmlNamespace", {})
            if space.get("prefix") == prefix:
                found.append(f' xmlns:{prefix}="{space["uri"]}"')
            found.append(f' {wire}="{escaped(text_of(member, value[name]))}"')
    return "".join(found)


def text_of(shape: Shape, value: Any) -> str:
    """Moments have milliseconds here, as they have in S3's replies."""
    if isinstance(value, datetime) and timestamp_format(shape, "iso8601") == "iso8601":
        return f"{scalar_to_text(shape, value.replace(microsecond=0), timestamps='iso8601')[:-1]}.000Z"
    return scalar_to_text(shape, value, timestamps="iso8601")


def element(tag: str, text: str) -> str:
    return f"<{tag}>{escaped(text)}</{tag}>" if text else f"<{tag}/>"


def escaped(text: str) -> str:
    """What XML 1.0 cannot say is said all the same, as a reference: S3 does so with keys."""
    said = escape(text, _SPOKEN_AS_REFERENCES)
    if said.isprintable():
        return said
    return "".join(f"&#{ord(char)};" if _is_unsayable(char) else char for char in said)


def _is_unsayable(char: str) -> bool:
    code = ord(char)
    return (code < 0x20 and char not in "\t\n") or 0xD800 <= code <= 0xDFFF or code in (0xFFFE, 0xFFFF)
