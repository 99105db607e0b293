"""Which names are served, and which addresses are listened on."""

import pytest

from lambent.aws.errors import ApiError
from lambent.gateway.hosts import HostRule, UnsafeBind, check_bind, is_loopback


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:4566",
        "LOCALHOST",
        "a.b.localhost:1",
        "127.0.0.1:4566",
        "127.9.9.9",
        "[::1]:4566",
        "[::1]",
    ],
)
def test_names_of_this_machine_are_served(host: str) -> None:
    HostRule().check(host, None)


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        "example.test",
        "localhost.example.test",
        "127.0.0.1.example.test",
        "::1",
        "10.0.0.1",
        "0.0.0.0",
        "[2001:db8::1]",
        "[localhost",
        "evil@localhost",
        "a:1:2",
    ],
)
def test_any_other_name_is_refused(host: str | None) -> None:
    with pytest.raises(ApiError, match="not served here"):
        HostRule().check(host, None)


def test_further_names_can_be_allowed_alone_or_with_all_below() -> None:
    rule = HostRule(("lambda.test", "*.amazonaws.com"))
    rule.check("lambda.test:4566", None)
    rule.check("lambda.us-east-1.amazonaws.com", None)
    for host in ("x.lambda.test", "amazonaws.com", "evilamazonaws.com"):
        with pytest.raises(ApiError):
            rule.check(host, None)


def test_only_the_same_origin_may_come_from_a_web_page() -> None:
    rule = HostRule()
    rule.check("localhost:4566", "http://localhost:4566")
    for origin in ("http://localhost", "http://localhost:3000", "null", "http://evil.test", ""):
        with pytest.raises(ApiError, match="web pages"):
            rule.check("localhost:4566", origin)


def test_a_page_of_another_site_may_not_even_send_what_has_no_origin() -> None:
    rule = HostRule()
    for site in (None, "none", "same-origin"):
        rule.check("localhost:4566", None, site)
    for site in ("cross-site", "same-site"):
        with pytest.raises(ApiError, match="web pages"):
            rule.check("localhost:4566", None, site)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "example.test", ""])
def test_other_addresses_than_loopback_are_not_listened_on(host: str) -> None:
    assert not is_loopback(host)
    with pytest.raises(UnsafeBind, match="refusing to listen"):
        check_bind(host)
