"""Object lock: the default retention of a bucket, and what requests say of one object. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from lambent.services.s3.errors import error, invalid_argument, invalid_request, malformed_xml
from lambent.services.s3.records import ENABLED, Bucket, State

MODES: Final = ("GOVERNANCE", "COMPLIANCE")
DAY_MS: Final = 86_400_000


def checked(bucket: Bucket, given: Mapping[str, Any]) -> dict[str, Any]:
    if bucket.versioning != ENABLED:
        text = "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration"
        raise error("InvalidBucketState", text, 409)
    if given.get("ObjectLockEnabled") != ENABLED:
        raise malformed_xml()
    rule = given.get("Rule")
    if rule is None:
        return {"ObjectLockEnabled": ENABLED}
    default = rule.get("DefaultRetention") or {}
    days, years = default.get("Days"), default.get("Years")
    if default.get("Mode") not in MODES or (days is None) == (years is None):
        raise malformed_xml()
    name = "Years" if days is None else "Days"
    if default[name] < 1:
        raise invalid_argument("Default retention period must be a positive integer value.", name, default[name])
    return {"ObjectLockEnabled": ENABLED, "Rule": {"DefaultRetention": dict(default)}}


def default_until(document: Mapping[str, Any], now_ms: int) -> tuple[str, int]:
    """Mode and end of the retention of a new version; an empty mode: there is none."""
    default = (document.get("Rule") or {}).get("DefaultRetention")
    if not default:
        return "", 0
    if default.get("Days") is not None:
        return default["Mode"], now_ms + default["Days"] * DAY_MS
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    year = now.year + default["Years"]
    # The 29th of February has no anniversary in most years.
    until = now.replace(year=year, day=28) if (now.month, now.day) == (2, 29) else now.replace(year=year)
    return default["Mode"], int(until.timestamp() * 1000)


def of_headers(bucket: Bucket, parameters: Mapping[str, Any], now_ms: int) -> tuple[str, int, bool]:
    """Mode, end and legal hold as a request to write an object has them; the mode is empty where it has none."""
    mode, until = parameters.get("ObjectLockMode"), parameters.get("ObjectLockRetainUntilDate")
    hold = parameters.get("ObjectLockLegalHoldStatus")
    if (mode or until or hold) and not bucket.locked:
        raise no_lock()
    if (mode is None) != (until is None):
        text = "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied"
        name = "x-amz-object-lock-mode" if mode is None else "x-amz-object-lock-retain-until-date"
        raise invalid_argument(text, name, "")
    if mode is not None and mode not in MODES:
        raise invalid_argument("Unknown wormMode directive.", "x-amz-object-lock-mode", mode)
    until_ms = 0 if until is None else int(until.timestamp() * 1000)
    if until is not None and until_ms <= now_ms:
        name = "x-amz-object-lock-retain-until-date"
        raise invalid_argument("The retain until date must be in the future!", name, until.isoformat())
    return mode or "", until_ms, hold == "ON"


def no_lock() -> Exception:
    return invalid_request("Bucket is missing Object Lock Configuration")


def retained(state: State, mode: str, until_ms: int, *, bypass: bool) -> bool:
    """Whether the retention of a version may become this one; an empty mode takes it away."""
    if not state.lock_mode:
        return True
    longer = bool(mode) and until_ms >= state.lock_until_ms
    if state.lock_mode == "COMPLIANCE":
        return longer and mode == "COMPLIANCE"
    return bypass or (longer and mode in MODES)
