"""Which operation a request of S3 is. Pure.

Operations that share a method and a place are told apart by the constants in the query of their model's URI, and by
the members that they cannot be without: `partNumber`, `uploadId`, `x-amz-copy-source`. The most particular wins. A
sub-resource that the method does not know is refused, and never falls to the plain operation: `DELETE /bucket?acl`
deletes no bucket.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import parse_qsl

from lambent.aws.errors import ApiError
from lambent.aws.shapes import OperationModel, ServiceModel
from lambent.gateway.route import Match
from lambent.gateway.s3.addressing import Address

_SERVICE: Final = "SERVICE"
_BUCKET: Final = "BUCKET"
_OBJECT: Final = "OBJECT"
_NOT_HERE: Final = frozenset({"ListDirectoryBuckets", "WriteGetObjectResponse"})
_OF_AN_UPLOAD: Final = frozenset({"uploadId"})
_OPTIONAL: Final = frozenset({"select-type", "list-type"})
"""Constants that are no sub-resource of their own."""


class _Route(NamedTuple):
    operation: OperationModel
    query: Mapping[str, str | None]
    needs_query: frozenset[str]
    needs_headers: frozenset[str]

    @property
    def weight(self) -> int:
        return len(self.query) + len(self.needs_query) + len(self.needs_headers)

    def takes(self, query: Mapping[str, str], headers: Mapping[str, str]) -> bool:
        return (
            all(key in query and (value is None or query[key] == value) for key, value in self.query.items())
            and self.needs_query <= query.keys()
            and self.needs_headers <= headers.keys()
        )


class S3Routes:
    def __init__(self, model: ServiceModel) -> None:
        self._routes: dict[tuple[str, str], list[_Route]] = {}
        sub_resources: set[str] = set()
        for name in model.operation_names:
            operation = model.operation_model(name)
            if name in _NOT_HERE or operation.deprecated:
                continue
            route, place = _route(operation)
            sub_resources |= route.query.keys() - _OPTIONAL
            self._routes.setdefault((operation.http["method"], place), []).append(route)
        for routes in self._routes.values():
            routes.sort(key=lambda route: -route.weight)
        self._sub_resources = frozenset(sub_resources | _OF_AN_UPLOAD)

    def match(self, method: str, address: Address, query: str, headers: Mapping[str, str]) -> Match:
        """Raises `ApiError` MethodNotAllowed 405."""
        place = _SERVICE if address.bucket is None else _BUCKET if address.key is None else _OBJECT
        sent = dict(parse_qsl(query, keep_blank_values=True)) if query else {}
        for route in self._routes.get((method, place), ()):
            # Most are of sub-resources that nobody asks for.
            if route.query.keys() <= sent.keys() and route.takes(sent, headers):
                asked = (sent.keys() & self._sub_resources) - route.query.keys() - route.needs_query
                if asked and not route.query:
                    break
                return Match(route.operation, {"Bucket": address.bucket or "", "Key": address.key or ""})
        raise method_not_allowed(method, place)


def method_not_allowed(method: str, place: str) -> ApiError:
    return ApiError(
        "MethodNotAllowed",
        "The specified method is not allowed against this resource.",
        status=405,
        members={"Method": method, "ResourceType": place},
    )


def _route(operation: OperationModel) -> tuple[_Route, str]:
    path, _, query = operation.http["requestUri"].partition("?")
    place = _OBJECT if "{Key+}" in path else _BUCKET if "{Bucket}" in path else _SERVICE
    constants = {key: value or None for key, value in parse_qsl(query, keep_blank_values=True)}
    shape = operation.input_shape
    needed: dict[str, set[str]] = {"querystring": set(), "header": set()}
    for name in () if shape is None else shape.required_members:
        serialization = shape.members[name].serialization
        if serialization.get("location") in needed:
            needed[serialization["location"]].add(serialization.get("name", name))
    headers = frozenset(name.lower() for name in needed["header"])
    if "attributes" in constants:
        # What it lacks without the header is for the handler to say.
        headers = frozenset()
    return _Route(operation, constants, frozenset(needed["querystring"]), headers), place
