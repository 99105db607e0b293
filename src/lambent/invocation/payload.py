"""Whether an event is JSON, without building it: 5 MB take 3 ms this way and 80 ms with a full parse.

A refusal says what Lambda's own parser (Jackson) would say, as far as its texts are known.
"""

import re

import msgspec
import orjson

from lambent.aws.errors import ApiError
from lambent.functions.quotas import Quotas

EMPTY_EVENT = b"{}"

EVENT_UNIT_BYTES = 256 * 1024
FURTHER_UNIT_BYTES = 64 * 1024

_SOURCE = "[Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: {line}, column: {column}]"
_VALUE = "JSON String, Number, Array, Object or token 'null', 'true' or 'false'"
_EXPLAINED_BYTES = 64 * 1024
"""Up to this size the reason of a truncated document is searched for; it costs a pass in Python."""

_check = msgspec.json.Decoder(msgspec.Raw).decode
_OFFSET = re.compile(r"^JSON is malformed: (.*) \(byte (\d+)\)$")
_TOKEN = re.compile(rb"[A-Za-z_$][A-Za-z0-9_$]*")
_WORD_BEFORE = re.compile(rb"[A-Za-z_$]+\Z")
_STRUCTURE = re.compile(rb'"(?:[^"\\]|\\.)*("?)|[\[\]{}]', re.DOTALL)


def check_size(size_bytes: int, invocation_type: str, quotas: Quotas) -> None:
    limit = quotas.max_payload_bytes
    if invocation_type != "RequestResponse":
        limits = {"Event": quotas.max_event_payload_bytes, "InvokeAsync": quotas.max_invoke_async_bytes}
        limit = limits.get(invocation_type, limit)
    if size_bytes > limit:
        raise ApiError(
            "RequestEntityTooLargeException",
            f"{size_bytes} byte payload is too large for the {invocation_type} invocation type (limit {limit} bytes)",
            status=413,
        )


def event_units(size_bytes: int) -> int:
    """As how many requests an asynchronous invocation is billed: one up to 256 KB, one for each 64 KB that begins."""
    return 1 + max(0, -(-(size_bytes - EVENT_UNIT_BYTES) // FURTHER_UNIT_BYTES))


def is_json(data: bytes) -> bool:
    """Of any depth that a parser takes, in UTF-8."""
    try:
        _check(data)
        data.decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def checked(payload: bytes) -> bytes:
    """The event for the runtime: `payload` byte for byte, `{}` for an empty one. Raises ApiError if it is not JSON."""
    if not payload:
        return EMPTY_EVENT
    try:
        _check(payload)
        if not payload.isascii():
            payload.decode()
    except msgspec.DecodeError as error:
        raise _not_json(_explain(payload, str(error))) from None
    except UnicodeDecodeError as error:
        text = f"Invalid UTF-8 start byte 0x{payload[error.start]:x}"
        raise _not_json(f"{text}\n at {_at(payload, error.start + 1)}") from None
    except RecursionError:
        if _is_deep_json(payload):
            return payload
        text = (
            "Document nesting depth (1001) exceeds the maximum allowed "
            "(1000, from `StreamReadConstraints.getMaxNestingDepth()`)"
        )
        raise _not_json(f"{text}\n at {_at(payload, 1000)}") from None
    return payload


def _is_deep_json(payload: bytes) -> bool:
    """The quick check shares its depth with the interpreter's stack, which is a little less than Lambda's 1,000."""
    try:
        orjson.loads(payload)
    except orjson.JSONDecodeError:
        return False
    return True


def _not_json(text: str) -> ApiError:
    return ApiError(
        "InvalidRequestContentException",
        f"Could not parse request body into json: Could not parse payload into json: {text}",
    )


def _at(payload: bytes, offset: int) -> str:
    """The place of `offset` as Jackson prints it; both numbers count from 1."""
    line = payload.count(b"\n", 0, offset) + 1
    column = offset - (payload.rfind(b"\n", 0, offset) + 1) + 1
    return _SOURCE.format(line=line, column=column)


def _explain(payload: bytes, error: str) -> str:
    found = _OFFSET.match(error)
    if found is None:
        return _explain_truncated(payload)
    what, offset = found[1], int(found[2])
    if what == "trailing characters":
        # The checker has taken the first of them.
        offset -= 1
    # The offset may point into a word that began like a literal: `nope` fails at its second letter.
    word = _WORD_BEFORE.search(payload, max(0, offset - 5), offset)
    token = _TOKEN.match(payload, word.start() if word else offset)
    if what == "invalid character" and token is not None:
        text = f"Unrecognized token '{token[0].decode()}': was expecting ({_VALUE})"
        return f"{text}\n at {_at(payload, token.end())}"
    if offset >= len(payload):
        return _explain_truncated(payload)
    return f"Unexpected character ({_named(payload[offset])}): {_expected(what)}\n at {_at(payload, offset)}"


def _named(byte: int) -> str:
    """Jackson names the byte, not the character that begins with it."""
    if byte < 0x20 or 0x7F <= byte < 0xA0:
        return f"(CTRL-CHAR, code {byte})"
    return f"'{chr(byte)}' (code {byte})"


def _expected(what: str) -> str:
    match what:
        case "expected ':'":
            return "was expecting a colon to separate field name and value"
        case "expected ',' or '}'":
            return "was expecting comma to separate Object entries"
        case "expected ',' or ']'":
            return "was expecting comma to separate Array entries"
        case "expected '\"'" | "object keys must be strings" | "trailing comma in object":
            return "was expecting double-quote to start field name"
        case "trailing characters":
            return "expected end of document"
        case "invalid number":
            return "Expected space separating root-level values"
        case "invalid escaped character" | "invalid escape character in string":
            return "Unrecognized character escape"
        case _:
            return f"expected a valid value ({_VALUE})"


def _explain_truncated(payload: bytes) -> str:
    end = _at(payload, len(payload))
    if len(payload) > _EXPLAINED_BYTES:
        return f"Unexpected end-of-input\n at {end}"
    token = _TOKEN.search(payload, len(payload) - 5)
    if token is not None and token.end() == len(payload) and payload[:1] in b"tfn":
        return f"Unrecognized token '{token[0].decode()}': was expecting ({_VALUE})\n at {end}"
    open_at: list[tuple[str, int]] = []
    for match in _STRUCTURE.finditer(payload):
        mark = match[0][:1]
        if mark == b'"' and not match[1]:
            return f"Unexpected end-of-input: was expecting closing quote for a string value\n at {end}"
        if mark in b"[{":
            open_at.append(("Array" if mark == b"[" else "Object", match.start()))
        elif mark in b"]}" and open_at:
            open_at.pop()
    if not open_at:
        return f"No content to map due to end-of-input\n at {end}"
    kind, start = open_at[-1]
    return (
        f"Unexpected end-of-input: expected close marker for {kind} (start marker at {_at(payload, start)})\n at {end}"
    )
