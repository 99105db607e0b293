"""Attributes of messages: what is allowed, and the MD5s by which SDKs check that nothing was changed.

Pure. The digest is over names in byte order: lengths of four bytes, big-endian, before each name, DataType and value.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, Final

from lambent.aws.errors import ApiError
from lambent.services.sqs.api.errors import invalid
from lambent.services.sqs.records import AttributeValue

MOST: Final = 10
TRACE_HEADER: Final = "AWSTraceHeader"
_NAME: Final = re.compile(r"(?!\.)(?!.*\.\.)[\w.-]+(?<!\.)")
_TYPE: Final = re.compile(r"(String|Number|Binary)(?:\..*)?", re.DOTALL)
_BAD_TEXT: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_GOOD_ASCII: Final = bytes([9, 10, 13, *range(32, 128)])
_DIGITS: Final = 38
_NO_LISTS: Final = "Message attribute list values in SendMessage operation are not supported."

Attributes = Mapping[str, AttributeValue]


def is_sayable(text: str) -> bool:
    """Whether SQS takes all its characters: those of XML 1.0."""
    if text.isascii():
        return not text.encode().translate(None, _GOOD_ASCII)
    return _BAD_TEXT.search(text) is None


def attributes_of(given: Mapping[str, Any]) -> dict[str, AttributeValue]:
    """MessageAttributes as they are kept. Raises `ApiError`."""
    if len(given) > MOST:
        raise invalid(f"Number of message attributes [{len(given)}] exceeds the allowed maximum [{MOST}].")
    return {name: _attribute(name, value or {}) for name, value in given.items()}


def system_attributes_of(given: Mapping[str, Any]) -> dict[str, AttributeValue]:
    """MessageSystemAttributes: the trace header is the only one that can be sent."""
    for name in given:
        if name != TRACE_HEADER:
            raise ApiError("UnsupportedOperation", f"Message system attribute name '{name}' is invalid.")
    return {name: _attribute(name, value or {}) for name, value in given.items()}


def digest(attributes: Attributes) -> str:
    hashed = hashlib.md5(usedforsecurity=False)
    for name, value in sorted((name.encode(), value) for name, value in attributes.items()):
        for part in (name, value.type.encode()):
            hashed.update(len(part).to_bytes(4, "big") + part)
        hashed.update(b"\x02" if value.type.startswith("Binary") else b"\x01")
        hashed.update(len(value.value).to_bytes(4, "big") + value.value)
    return hashed.hexdigest()


def body_digest(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


def shown(attributes: Attributes) -> dict[str, dict[str, Any]]:
    """As a receive tells them."""
    return {
        name: {"BinaryValue": value.value, "DataType": value.type}
        if value.type.startswith("Binary")
        else {"StringValue": value.value.decode(), "DataType": value.type}
        for name, value in attributes.items()
    }


def chosen(attributes: Attributes, names: Sequence[str]) -> Attributes:
    """Those that a receive asks for: exact names, all, or all that begin so."""
    if not names or not attributes:
        return {}
    exact, prefixes = _filter(tuple(names))
    if prefixes and "" in prefixes:
        return attributes
    return {name: value for name, value in attributes.items() if name in exact or name.startswith(prefixes)}


@lru_cache(maxsize=256)
def _filter(names: tuple[str, ...]) -> tuple[frozenset[str], tuple[str, ...]]:
    prefixes = tuple(
        "" if name in ("All", "*") else name[:-2] for name in names if name in ("All", "*") or name[-2:] == ".*"
    )
    return frozenset(names), prefixes


def _attribute(name: str, given: Mapping[str, Any]) -> AttributeValue:
    _check_name(name)
    kind: str = given.get("DataType") or ""
    if not kind:
        raise invalid(f"The message (user) attribute '{name}' must contain a non-empty message attribute type.")
    if len(kind.encode()) > 256:
        raise invalid("Message (user) attribute type must be shorter than 256 bytes.")
    parts = _TYPE.fullmatch(kind)
    if parts is None:
        raise invalid(
            f"The type of message (user) attribute '{name}' is invalid. "
            "You must use only the following supported type prefixes: Binary, Number, String."
        )
    if given.get("StringListValues") or given.get("BinaryListValues"):
        raise ApiError("UnsupportedOperation", _NO_LISTS)
    text, blob = given.get("StringValue"), given.get("BinaryValue")
    if text is None and blob is None:
        raise invalid(f"The message (user) attribute '{name}' must contain a non-empty message attribute value.")
    value = blob if parts[1] == "Binary" else text
    if not value:
        raise invalid(f"Message (user) attribute '{name}' must contain a non-empty value of type '{parts[1]}'.")
    if isinstance(value, bytes):
        return AttributeValue(kind, value)
    if not is_sayable(value):
        raise invalid(f"Message (user) attribute '{name}' value contains invalid characters.")
    if parts[1] == "Number" and not _is_number(value):
        raise invalid(f"Can't cast the value of message (user) attribute '{name}' to a number.")
    return AttributeValue(kind, value.encode())


def _check_name(name: str) -> None:
    if len(name.encode("utf-8", "surrogatepass")) > 256:
        raise invalid("Message (user) attribute name must be shorter than 256 bytes.")
    if name.lower().startswith(("aws.", "amazon.")):
        raise invalid(
            "You can't use message attribute names beginning with 'AWS.' or 'Amazon'. "
            "These strings are reserved for internal use."
        )
    if not _NAME.fullmatch(name):
        raise invalid(f"Invalid message (user) attribute name '{name}'.")


def _is_number(text: str) -> bool:
    # Decimal() takes underscores, blanks and digits of other scripts, and words.
    if not text.isascii() or "_" in text or text != text.strip():
        return False
    try:
        number = Decimal(text)
    except InvalidOperation:
        return False
    if not number.is_finite():
        return False
    return not number or (len(number.as_tuple().digits) <= _DIGITS and -129 < number.adjusted() < 127)
