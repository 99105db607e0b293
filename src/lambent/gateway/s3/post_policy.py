"""The policy document of a POST form: what its signer allows the fields and the file to be. Pure."""

import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from lambent.aws.errors import ApiError

_UNCOVERED: Final = frozenset({"x-amz-signature", "signature", "awsaccesskeyid", "file", "policy"})
_IGNORED: Final = "x-ignore-"


@dataclass(frozen=True, slots=True)
class SizeRange:
    least: int = 0
    most: int | None = None


def check(text: str, fields: Mapping[str, str], bucket: str, now: datetime) -> SizeRange:
    """`text`: the field; `fields`: names in lower case. Raises `ApiError`: InvalidPolicyDocument, AccessDenied."""
    document = _document(text)
    if _expiration(document) <= now:
        raise _denied("Policy expired.")
    conditions = document.get("conditions")
    if not isinstance(conditions, list):
        raise _invalid("Policy missing conditions.")
    values = {**fields, "bucket": bucket}
    covered: set[str] = set()
    sizes = SizeRange()
    for condition in conditions:
        if isinstance(condition, dict):
            if len(condition) != 1:
                raise _invalid("Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.")
            name, wanted = next(iter(condition.items()))
            kind, name = "eq", name.lower()
        elif isinstance(condition, list) and len(condition) == 3 and isinstance(condition[0], str):
            kind, name, wanted = condition[0].lower(), condition[1], condition[2]
            if kind == "content-length-range":
                sizes = SizeRange(_size(name), _size(wanted))
                continue
            if not isinstance(name, str) or not name.startswith("$"):
                raise _invalid(f"Invalid Condition: {_printed(condition)}")
            name = name[1:].lower()
        else:
            raise _invalid("Invalid JSON.")
        if not isinstance(wanted, str) or kind not in ("eq", "starts-with"):
            raise _invalid(f"Invalid Condition: {_printed(condition)}")
        value = values.get(name, "")
        if not (value == wanted if kind == "eq" else _all_start(name, value, wanted)):
            raise _denied(f"Policy Condition failed: {_printed([kind, '$' + name, wanted])}")
        covered.add(name)
    extra = [name for name in fields if name not in covered | _UNCOVERED and not name.startswith(_IGNORED)]
    if extra:
        raise _denied(f"Extra input fields: {', '.join(extra)}")
    return sizes


def check_size(size: int, allowed: SizeRange) -> None:
    """Raises `ApiError`: EntityTooLarge, EntityTooSmall."""
    if allowed.most is not None and size > allowed.most:
        raise ApiError(
            "EntityTooLarge",
            "Your proposed upload exceeds the maximum allowed size",
            status=400,
            members={"ProposedSize": size, "MaxSizeAllowed": allowed.most},
        )
    if size < allowed.least:
        raise ApiError(
            "EntityTooSmall",
            "Your proposed upload is smaller than the minimum allowed size",
            status=400,
            members={"ProposedSize": size, "MinSizeAllowed": allowed.least},
        )


def _document(text: str) -> dict[str, Any]:
    try:
        found = orjson.loads(binascii.a2b_base64("".join(text.split()), strict_mode=True))
    except (ValueError, binascii.Error) as error:
        raise _invalid("Invalid JSON.") from error
    if not isinstance(found, dict):
        raise _invalid("Invalid JSON.")
    return found


def _expiration(document: Mapping[str, Any]) -> datetime:
    text = document.get("expiration")
    if text is None:
        raise _invalid("Policy missing expiration.")
    try:
        found = datetime.fromisoformat(text)
    except (ValueError, TypeError) as error:
        raise _invalid(f"Invalid 'expiration' value: '{text}'") from error
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found


def _all_start(name: str, value: str, prefix: str) -> bool:
    """A content type may be a list, of which each has to fit."""
    if name == "content-type":
        return all(part.strip().startswith(prefix) for part in value.split(","))
    return value.startswith(prefix)


def _size(value: object) -> int:
    """A number, or one in a string."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        return int(value)
    raise _invalid("Invalid content-length-range.")


def _printed(condition: Any) -> str:
    """JSON with a blank after each comma, as AWS prints it."""
    if isinstance(condition, list):
        return f"[{', '.join(_printed(item) for item in condition)}]"
    return orjson.dumps(condition).decode()


def _invalid(message: str) -> ApiError:
    return ApiError("InvalidPolicyDocument", f"Invalid Policy: {message}", status=400)


def _denied(message: str) -> ApiError:
    return ApiError("AccessDenied", f"Invalid according to Policy: {message}", status=403)
