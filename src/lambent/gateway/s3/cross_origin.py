"""What a web page may know of a bucket: preflights and the headers of replies, from the bucket's CORS rules. Pure."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from lambent.aws.buckets import BucketFacts
from lambent.aws.errors import ApiError
from lambent.gateway.http import HttpResponse

Rule = Mapping[str, Any]
Pairs = tuple[tuple[str, str], ...]

_VARY: Final = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"
_NOT_ALLOWED: Final = (
    "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request method "
    "/ Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec."
)
METHOD: Final = "access-control-request-method"
HEADERS: Final = "access-control-request-headers"


def preflight(facts: BucketFacts | None, headers: Mapping[str, str], *, has_key: bool) -> HttpResponse:
    """The answer to OPTIONS, which nobody signs. Raises `ApiError`: BadRequest, AccessForbidden."""
    origin = headers.get("origin")
    if origin is None:
        text = "Insufficient information. Origin request header needed."
        raise ApiError("BadRequest", text, status=400)
    method = headers.get(METHOD, "OPTIONS")
    if facts is None:
        raise _forbidden("CORSResponse: Bucket not found", method, "BUCKET")
    if not facts.cors:
        raise _forbidden("CORSResponse: CORS is not enabled for this bucket.", method, "BUCKET")
    rule = matching(facts.cors, origin, method, headers)
    if rule is None:
        raise _forbidden(_NOT_ALLOWED, method, "OBJECT" if has_key else "BUCKET")
    requested = _requested(headers)
    allowed: Pairs = (("Access-Control-Allow-Headers", ", ".join(requested)),) if requested else ()
    return HttpResponse(200, (*_of_rule(rule, origin), *allowed))


def reply_headers(facts: BucketFacts | None, method: str, headers: Mapping[str, str]) -> Pairs:
    """What the reply to any other request says to a page; nothing where no rule matches."""
    origin = headers.get("origin")
    if origin is None or facts is None:
        return ()
    rule = matching(facts.cors, origin, headers.get(METHOD, method), headers)
    return () if rule is None else _of_rule(rule, origin)


def matching(rules: Sequence[Rule], origin: str, method: str, headers: Mapping[str, str]) -> Rule | None:
    """The first rule that allows all of it."""
    requested = _requested(headers)
    for rule in rules:
        if (
            method in rule.get("AllowedMethods", ())
            and any(_fits(pattern, origin) for pattern in rule.get("AllowedOrigins", ()))
            and all(_allows(rule, name) for name in requested)
        ):
            return rule
    return None


def _allows(rule: Rule, header: str) -> bool:
    return any(_fits(pattern.lower(), header) for pattern in rule.get("AllowedHeaders", ()))


def _fits(pattern: str, text: str) -> bool:
    """A pattern has one star at most."""
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text, re.DOTALL) is not None


def _requested(headers: Mapping[str, str]) -> list[str]:
    return [name for part in headers.get(HEADERS, "").split(",") if (name := part.strip().lower())]


def _of_rule(rule: Rule, origin: str) -> Pairs:
    anyone = "*" in rule.get("AllowedOrigins", ())
    found = [("Access-Control-Allow-Origin", "*" if anyone else origin)]
    if not anyone:
        found.append(("Access-Control-Allow-Credentials", "true"))
    found.append(("Access-Control-Allow-Methods", ", ".join(rule["AllowedMethods"])))
    if rule.get("ExposeHeaders"):
        found.append(("Access-Control-Expose-Headers", ", ".join(rule["ExposeHeaders"])))
    if rule.get("MaxAgeSeconds") is not None:
        found.append(("Access-Control-Max-Age", str(rule["MaxAgeSeconds"])))
    return (*found, ("Vary", _VARY))


def _forbidden(message: str, method: str, place: str) -> ApiError:
    members = {"Method": method, "ResourceType": place}
    return ApiError("AccessForbidden", message, status=403, members=members)
