"""A CORS configuration as it may be kept. Which rule answers which page is decided in the gateway. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from lambent.services.s3.errors import invalid_request, malformed_xml

MAX_RULES: Final = 100
METHODS: Final = frozenset({"GET", "PUT", "HEAD", "POST", "DELETE"})


def checked(given: Mapping[str, Any]) -> dict[str, Any]:
    rules = given.get("CORSRules") or ()
    if not 1 <= len(rules) <= MAX_RULES:
        raise malformed_xml()
    for rule in rules:
        if not rule.get("AllowedMethods") or not rule.get("AllowedOrigins"):
            raise malformed_xml()
        if len(rule.get("ID") or "") > 255:
            raise malformed_xml()
        for method in rule["AllowedMethods"]:
            if method not in METHODS:
                raise invalid_request(f"Found unsupported HTTP method in CORS config. Unsupported method is {method}")
        for origin in rule["AllowedOrigins"]:
            if origin.count("*") > 1:
                raise invalid_request(f'AllowedOrigin "{origin}" can not have more than one wildcard.')
        for header in rule.get("AllowedHeaders") or ():
            if header.count("*") > 1:
                raise invalid_request(f'AllowedHeader "{header}" can not have more than one wildcard.')
        for header in rule.get("ExposeHeaders") or ():
            if "*" in header:
                raise invalid_request(
                    f'ExposeHeader "{header}" contains wildcard. We currently do not support wildcard for ExposeHeader.'
                )
    return {"CORSRules": [{name: value for name, value in rule.items() if value is not None} for rule in rules]}
