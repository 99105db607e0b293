"""Handlers that return every kind of value."""

import collections
import datetime
import decimal
import enum
import json
import sys


class Colour(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    LOW = 1


class Name(str):
    pass


class Ratio(float):
    pass


class Row:
    def _asdict(self):
        return {"row": 1}


class BadRow:
    def _asdict(self):
        return [1]


Point = collections.namedtuple("Point", "x y")


def _circular_list():
    values = []
    values.append(values)
    return values


def _circular_dict():
    values = {}
    values["self"] = [values]
    return values


def _deep(levels):
    value = []
    for _ in range(levels):
        value = [value]
    return value


VALUES = {
    "none": lambda: None,
    "true": lambda: True,
    "int": lambda: 12345678901234567890123,
    "float": lambda: [0.1, 1e300, -0.0, 1.0],
    "nan": lambda: [float("nan"), float("inf"), float("-inf")],
    "text": lambda: 'a "quoted" \\ line\n\t\x00\x7f\u2028\u00e9\U0001f600',
    "empty": lambda: ["", [], {}, ()],
    "nested": lambda: {"a": [{"b": (1, 2)}], "c": {"d": None}},
    "keys": lambda: {1: "int", 1.5: "float", False: "false", None: "none"},
    "tuple_key": lambda: {(1, 2): 3},
    "bytes_key": lambda: {b"key": 1},
    "decimal_key": lambda: {decimal.Decimal("1.5"): 1},
    "bytes": lambda: b"\x00\xffraw",
    "bytes_inside": lambda: {"a": b"text \xc3\xa9"},
    "bad_bytes_inside": lambda: {"a": b"\xff"},
    "bytearray": lambda: bytearray(b"x"),
    "decimal": lambda: {"a": decimal.Decimal("1.10"), "b": [decimal.Decimal("-3"), decimal.Decimal("1E+5")]},
    "decimal_nan": lambda: [decimal.Decimal("NaN"), decimal.Decimal("-sNaN")],
    "decimal_infinity": lambda: decimal.Decimal("Infinity"),
    "namedtuple": lambda: {"p": Point(1, Point(2, [3]))},
    "asdict": lambda: [Row()],
    "bad_asdict": lambda: BadRow(),
    "ordered": lambda: collections.OrderedDict([("z", 1), ("a", 2)]),
    "defaultdict": lambda: collections.defaultdict(list, {"k": [1]}),
    "subclasses": lambda: [Name("n"), Ratio(2.5), Level.LOW, {Name("k"): Level.LOW}],
    "enum": lambda: Colour.RED,
    "set": lambda: {1},
    "set_inside": lambda: {"a": {"b": {1}}},
    "complex": lambda: 1j,
    "ellipsis": lambda: [...],
    "datetime": lambda: {"now": datetime.datetime(2026, 1, 1)},
    "object": lambda: object(),
    "function": lambda: handler,
    "module": lambda: sys,
    "generator": lambda: (n for n in range(3)),
    "range": lambda: range(3),
    "dict_views": lambda: {"a": 1}.keys(),
    "exception": lambda: ValueError("returned"),
    "circular_list": _circular_list,
    "circular_dict": _circular_dict,
    "deep": lambda: _deep(200),
    "surrogate": lambda: "\ud800",
    "large": lambda: "x" * 1_000_000 + "\u00e9",
    "many": lambda: [{"i": i, "f": i / 7} for i in range(2000)],
}


def handler(event, context):
    return VALUES[event]()


def echo(event, context):
    return event


def event_type(event, context):
    return [type(event).__name__, json.dumps(event) if not isinstance(event, bytes) else event.hex()]


async def coroutine(event, context):
    return 1


def generator(event, context):
    yield 1
