"""Parameters against the constraints of the model, in the words of AWS.

Pure: parsed parameters in, failures out; the caller decides which error they become. Members that the model does not
know never get here. Patterns are matched against the whole value, with the meaning that Java gives them.
"""

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from lambent.aws.models import children
from lambent.aws.shapes import ListShape, MapShape, Shape, StructureShape

NOT_NULL: Final = "Member must not be null"
LONGEST_MATCHED: Final = 131_072
"""A longer value is refused by its length; matching it would only cost time."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One violated constraint. `path` is as AWS prints it, for example `environment.variables`."""

    path: str
    value: Any
    constraint: str
    sensitive: bool = False

    def __str__(self) -> str:
        return f"{self._shown()} at '{self.path}' failed to satisfy constraint: {self.constraint}"

    def _shown(self) -> str:
        if self.value is None:
            return "Value null"
        return "Value" if self.sensitive else f"Value '{shown(self.value)}'"


def message_of(failures: Sequence[Failure]) -> str:
    noun = "error" if len(failures) == 1 else "errors"
    return f"{len(failures)} validation {noun} detected: {'; '.join(map(str, failures))}"


def shown(value: Any) -> str:
    """A value as Java prints it: `[a, b]`, `{k=v}`, `true`, `null`."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{', '.join(map(shown, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}={shown(item)}" for key, item in value.items()) + "}"
    if isinstance(value, bytes):
        return f"java.nio.HeapByteBuffer[pos=0 lim={len(value)} cap={len(value)}]"
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value)


class Pattern(Protocol):
    def fullmatch(self, string: str) -> object | None: ...


@functools.cache
def compiled(pattern: str) -> Pattern:
    """A pattern of a model. `re` where it can; `regex` for Unicode properties and ranges that `re` refuses."""
    if r"\p{" not in pattern:
        with suppress(re.error):
            return re.compile(pattern, re.ASCII)
    # Here, since few patterns need it and a start should not wait for it.
    import regex

    return regex.compile(pattern) if r"\p{" in pattern else regex.compile(pattern, regex.ASCII)


@dataclass(frozen=True, slots=True)
class Constraints:
    """What the model says of one shape, with the sentence for each rule."""

    minimum: float | None = None
    maximum: float | None = None
    measure: str = ""
    pattern: str | None = None
    enum: tuple[str, ...] = ()

    def sentences(self) -> list[str]:
        """All rules, in the order in which AWS lists them for the members of a list or map."""
        found = []
        if self.maximum is not None:
            found.append(f"Member must have {self.measure} less than or equal to {self.maximum}")
        if self.minimum is not None:
            found.append(f"Member must have {self.measure} greater than or equal to {self.minimum}")
        if self.pattern is not None:
            found.append(f"Member must satisfy regular expression pattern: {self.pattern}")
        if self.enum:
            found.append(f"Member must satisfy enum value set: [{', '.join(self.enum)}]")
        return found

    def violated(self, value: Any) -> Iterator[str]:
        size = value if self.measure == "value" else len(value) if self.measure else 0
        if self.maximum is not None and size > self.maximum:
            yield f"Member must have {self.measure} less than or equal to {self.maximum}"
        if self.minimum is not None and size < self.minimum:
            yield f"Member must have {self.measure} greater than or equal to {self.minimum}"
        if self.pattern is not None and not (len(value) <= LONGEST_MATCHED and compiled(self.pattern).fullmatch(value)):
            yield f"Member must satisfy regular expression pattern: {self.pattern}"
        if self.enum and value not in self.enum:
            yield f"Member must satisfy enum value set: [{', '.join(self.enum)}]"


@functools.cache
def constraints(shape: Shape) -> Constraints | None:
    """None when the model says nothing of the shape itself."""
    rules = shape.metadata
    kind = shape.type_name
    minimum, maximum = rules.get("min"), rules.get("max")
    measure = ""
    if minimum is not None or maximum is not None:
        measure = "value" if kind in ("integer", "long", "short", "byte", "double", "float") else "length"
        if kind in ("double", "float"):
            minimum = None if minimum is None else float(minimum)
            maximum = None if maximum is None else float(maximum)
    pattern = rules.get("pattern") if kind == "string" else None
    enum = tuple(rules.get("enum", ()))
    if not measure and pattern is None and not enum:
        return None
    return Constraints(minimum, maximum, measure, pattern, enum)


@functools.cache
def _constrained(shape: Shape) -> bool:
    """Whether anything below this shape can fail; lists of thousands are skipped when not."""
    return any(_anything(shape, frozenset()))


def _anything(shape: Shape, seen: frozenset[str]) -> Iterator[bool]:
    if shape.name in seen:
        return
    seen |= {shape.name}
    yield constraints(shape) is not None or bool(shape.metadata.get("required"))
    for child in children(shape):
        yield any(_anything(child, seen))


def failures(shape: StructureShape | None, parameters: Mapping[str, Any]) -> list[Failure]:
    """All violated constraints, in the order of the model. Empty when the parameters are valid."""
    return [] if shape is None else list(_of_structure(shape, parameters, ""))


def _of_structure(shape: StructureShape, value: Mapping[str, Any], path: str) -> Iterator[Failure]:
    if shape.metadata.get("document"):
        return
    for name in shape.metadata.get("required", ()):
        if value.get(name) is None:
            yield Failure(_join(path, name), None, NOT_NULL)
    for name, member in shape.members.items():
        item = value.get(name)
        if item is not None and _constrained(member):
            yield from _of_value(member, item, _join(path, name))


def _of_value(shape: Shape, value: Any, path: str) -> Iterator[Failure]:
    rules = constraints(shape)
    if rules is not None:
        for sentence in rules.violated(value):
            yield Failure(path, value, sentence, bool(shape.metadata.get("sensitive")))
    if isinstance(shape, StructureShape):
        yield from _of_structure(shape, value, path)
    elif isinstance(shape, ListShape):
        yield from _of_list(shape, value, path)
    elif isinstance(shape, MapShape):
        yield from _of_map(shape, value, path)


def _of_list(shape: ListShape, items: list[Any], path: str) -> Iterator[Failure]:
    member = shape.member
    if _nested(member):
        for index, item in enumerate(items, 1):
            if item is None:
                yield Failure(f"{path}.{index}.member", None, NOT_NULL)
            elif _constrained(member):
                yield from _of_value(member, item, f"{path}.{index}.member")
    elif (broken := _broken(member, items)) is not None:
        sensitive = bool(shape.metadata.get("sensitive") or member.metadata.get("sensitive"))
        yield Failure(path, items, f"Member must satisfy constraint: {broken}", sensitive)


def _of_map(shape: MapShape, items: dict[str, Any], path: str) -> Iterator[Failure]:
    sensitive = any(part.metadata.get("sensitive") for part in (shape, shape.key, shape.value))
    if (broken := _broken(shape.key, items)) is not None:
        yield Failure(path, items, f"Map keys must satisfy constraint: {broken}", sensitive)
    if _nested(shape.value):
        for key, item in items.items():
            if item is None:
                yield Failure(f"{path}.{key}.member", None, NOT_NULL)
            else:
                yield from _of_value(shape.value, item, f"{path}.{key}.member")
    elif (broken := _broken(shape.value, items.values())) is not None:
        yield Failure(path, items, f"Map value must satisfy constraint: {broken}", sensitive)


def _broken(shape: Shape, items: Any) -> str | None:
    """All rules of the elements as one bracketed list, when any element breaks any of them."""
    rules = constraints(shape)
    for item in items:
        if item is None or (rules is not None and any(rules.violated(item))):
            sentences = [] if rules is None else rules.sentences()
            return f"[{', '.join([*sentences, NOT_NULL])}]"
    return None


def _nested(shape: Shape) -> bool:
    return isinstance(shape, StructureShape | ListShape | MapShape)


def _join(path: str, name: str) -> str:
    camel = name[:1].lower() + name[1:]
    return f"{path}.{camel}" if path else camel
