"""Hypothesis strategies made from the shapes of a model: values that are valid, and that the wire can carry."""

import functools
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from lambent.aws.shapes import ListShape, MapShape, Shape, StructureShape
from lambent.aws.validation import constraints
from lambent.gateway.protocols.shapes import bindings

Values = st.SearchStrategy[Any]

DEEPEST = 4
HEADER_TEXT = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=20)
TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
ONE_LINE = st.characters(codec="utf-8", exclude_characters="\r\x85\u2028\u2029")
"""A range of Java's `.` has no line breaks, and Python's no newline alone."""
ONE_CLASS = re.compile(r"\[[^\]]+\][+*]")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECONDS = st.integers(0, 4_000_000_000).map(lambda s: EPOCH + timedelta(seconds=s))
MILLISECONDS = st.integers(0, 4_000_000_000_000).map(lambda ms: EPOCH + timedelta(milliseconds=ms))


@functools.cache
def structure(shape: StructureShape, moments: Values, depth: int = 0) -> Values:
    """Values of a structure. `moments` gives timestamps of the precision that the other side keeps."""
    places = bindings(shape)
    members = {}
    for name, member in shape.members.items():
        if name in places.header:
            values = HEADER_TEXT if plain(member) else value(member, moments, depth + 1)
        elif name in places.uri:
            values = value(member, moments, depth + 1).filter(lambda v: v != "")
        elif name in places.query and isinstance(member, ListShape):
            values = value(member, moments, depth + 1).filter(bool)
        elif name == places.payload and member.type_name == "blob":
            values = st.binary(min_size=1, max_size=64)
        else:
            values = value(member, moments, depth + 1)
        members[name] = values
    required = set(shape.metadata.get("required", ())) | set(places.uri)
    if places.payload is not None and isinstance(shape.members[places.payload], StructureShape):
        # botocore sends `{}` for an absent structure: the wire does not know the difference.
        required.add(places.payload)
    if shape.metadata.get("union"):
        return st.one_of([st.fixed_dictionaries({name: values}) for name, values in members.items()])
    optional = {} if depth >= DEEPEST else {name: v for name, v in members.items() if name not in required}
    return st.fixed_dictionaries({name: members[name] for name in members if name in required}, optional=optional)


def plain(shape: Shape) -> bool:
    return shape.type_name == "string" and constraints(shape) is None


@functools.cache
def value(shape: Shape, moments: Values, depth: int) -> Values:
    kind = shape.type_name
    rules = shape.metadata
    if isinstance(shape, StructureShape):
        return st.deferred(lambda: structure(shape, moments, depth))
    if isinstance(shape, ListShape):
        least = rules.get("min", 0)
        most = least if depth >= DEEPEST else max(least, min(rules.get("max", 3), 3))
        return st.lists(value(shape.member, moments, depth + 1), min_size=least, max_size=most)
    if isinstance(shape, MapShape):
        keys, items = value(shape.key, moments, depth + 1), value(shape.value, moments, depth + 1)
        least = rules.get("min", 0)
        return st.dictionaries(keys, items, min_size=least, max_size=max(least, 2))
    if kind == "string":
        return strings(shape)
    if kind in ("integer", "long"):
        bits = 31 if kind == "integer" else 63
        return st.integers(int(rules.get("min", -(2**bits))), int(rules.get("max", 2**bits - 1)))
    if kind in ("double", "float"):
        return st.floats(rules.get("min"), rules.get("max"), allow_nan=False, allow_infinity=False)
    if kind == "boolean":
        return st.booleans()
    if kind == "timestamp":
        return moments
    if kind == "blob":
        return st.binary(min_size=rules.get("min", 0), max_size=32)
    raise AssertionError(f"no values for {kind}")


@functools.cache
def strings(shape: Shape) -> Values:
    rules = shape.metadata
    if rules.get("enum"):
        return st.sampled_from(rules["enum"])
    least, most = rules.get("min", 0), rules.get("max", 1 << 20)
    if "pattern" not in rules:
        return st.text(st.characters(codec="utf-8"), min_size=least, max_size=min(most, least + 12))
    pattern = rules["pattern"].replace(r"\p{L}\p{Z}\p{N}", "a-zA-Z 0-9").replace(r"[\w-_]", r"[\w_-]")
    if ONE_CLASS.fullmatch(pattern):
        # Long enough at once: a filter would throw away nearly all.
        least = max(least, int(pattern.endswith("+")))
        pattern = f"{pattern[:-1]}{{{least},{min(most, least + 12)}}}"
    return st.from_regex(re.compile(pattern, re.ASCII), fullmatch=True, alphabet=ONE_LINE).filter(
        lambda text: least <= len(text) <= most
    )
