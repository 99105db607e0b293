"""Whatever an extension sends to subscribe is a subscription within the bounds, or refused."""

import orjson
from hypothesis import given
from hypothesis import strategies as st

from lambent.environments.events import SubscriptionKind
from lambent.environments.telemetry.subscription import Refused, Subscription, parse

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
URIS = st.text(max_size=30) | st.builds("http://sandbox{}{}".format, st.text(max_size=8), st.text(max_size=12))
REQUESTS = st.fixed_dictionaries(
    {
        "types": st.lists(st.sampled_from(["platform", "function", "extension", "logs"]), max_size=4) | JSON,
        "destination": st.fixed_dictionaries(
            {"protocol": st.sampled_from(["HTTP", "TCP"]) | JSON},
            optional={"URI": URIS | JSON, "port": st.integers(-1, 70_000) | JSON, "method": JSON},
        )
        | JSON,
    },
    optional={
        "schemaVersion": st.sampled_from(["2022-12-13", "2021-03-18"]) | JSON,
        "buffering": st.dictionaries(st.sampled_from(["maxItems", "maxBytes", "timeoutMs", "x"]), st.integers() | JSON)
        | JSON,
    },
)


def result(body: bytes, kind: SubscriptionKind) -> Subscription | None:
    try:
        return parse(body, kind)
    except Refused:
        return None


@given(st.binary(max_size=200), st.sampled_from(SubscriptionKind))
def test_any_bytes(body: bytes, kind: SubscriptionKind) -> None:
    result(body, kind)


@given(REQUESTS, st.sampled_from(SubscriptionKind))
def test_anything_that_looks_like_a_request(request: object, kind: SubscriptionKind) -> None:
    try:
        body = orjson.dumps(request)
    except TypeError:
        # Of numbers that JSON here does not have.
        return
    subscription = result(body, kind)
    if subscription is None:
        return
    to, buffering = subscription.destination, subscription.buffering
    assert 1 <= to.port <= 65_535
    assert to.port != 9001
    assert to.protocol == "TCP" or to.host in ("sandbox", "sandbox.localdomain")
    assert not set(to.path) & set("\r\n ")
    assert 25 <= buffering.timeout_ms <= 30_000
    assert 262_144 <= buffering.max_bytes <= 1_048_576
    assert 1000 <= buffering.max_items <= 10_000
    assert subscription.schema.kind is kind
    assert 1 <= len(set(subscription.types)) == len(subscription.types)
