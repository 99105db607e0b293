"""Addresses of function URLs, and back."""

import pytest

from lambent.functions.url_address import Address, address_of, function_url

ID = "a0" * 16


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        ("http://127.0.0.1:4566", f"http://{ID}.lambda-url.eu-west-1.localhost:4566/"),
        ("http://localhost:4566", f"http://{ID}.lambda-url.eu-west-1.localhost:4566/"),
        ("http://[::1]:4566", f"http://{ID}.lambda-url.eu-west-1.localhost:4566/"),
        ("http://localhost", f"http://{ID}.lambda-url.eu-west-1.localhost/"),
        ("https://Lambent.test:8443", f"https://{ID}.lambda-url.eu-west-1.lambent.test:8443/"),
    ],
)
def test_a_url_lies_below_the_name_of_the_endpoint(base_url: str, url: str) -> None:
    assert function_url(base_url, ID, "eu-west-1") == url


@pytest.mark.parametrize(
    ("host", "path", "address"),
    [
        (f"{ID}.lambda-url.eu-west-1.localhost:4566", "/a%2Fb", (ID, "eu-west-1", "localhost:4566", "/a%2Fb")),
        (f"{ID.upper()}.Lambda-Url.eu-west-1.localhost", "", (ID, "eu-west-1", "localhost", "/")),
        ("localhost:4566", f"/_lambda-url/{ID}/a/b/", (ID, None, "localhost:4566", "/a/b/")),
        ("localhost:4566", f"/_lambda-url/{ID}", (ID, None, "localhost:4566", "/")),
        ("localhost:4566", "/_lambda-url/", ("", None, "localhost:4566", "/")),
        ("localhost:4566", "/2015-03-31/functions", None),
        ("bucket.localhost:4566", "/", None),
        (".lambda-url.", "/", None),
    ],
)
def test_an_address_says_which_url_it_means(
    host: str, path: str, address: tuple[str, str | None, str, str] | None
) -> None:
    assert address_of(host, path) == (None if address is None else Address(*address))
