"""The services that moto answers as it is installed here, by boto3's names; for `docs/coverage.md`.

`python -m lambent.services.neighbours.answered` prints them. It imports all of moto, so it is a process of its own.
"""

import sys
from collections.abc import Iterator
from contextlib import redirect_stdout

from lambent.aws.models import DATA, UnknownService, metadata
from lambent.services.neighbours import child
from lambent.services.neighbours.refused import REFUSED


def answered() -> list[str]:
    """One name for each part of moto: several services of botocore may be signed under one name."""
    found: dict[str, str] = {}
    with redirect_stdout(sys.stderr):
        for name, part in _parts(child.Dispatcher()):
            if part not in found or name.replace("-", "") == part:
                found[part] = name
    return sorted(found.values())


def _parts(dispatcher: child.Dispatcher) -> Iterator[tuple[str, str]]:
    for name in sorted(folder.name for folder in DATA.iterdir()):
        try:
            model = metadata(name)
        except UnknownService:
            continue
        signed_as = model.get("signingName", model["endpointPrefix"])
        if signed_as in REFUSED:
            continue
        environ = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": "/",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "wsgi.url_scheme": "http",
            "HTTP_HOST": "localhost",
            "HTTP_X_AMZ_TARGET": f"{model.get('targetPrefix', 'none')}.Any",
            "HTTP_AUTHORIZATION": f"AWS4-HMAC-SHA256 Credential=1/20260101/us-east-1/{signed_as}/aws4_request, S=0",
        }
        try:
            yield name, str(vars(dispatcher.get_application(environ))["service"])
        except child.UnknownService:
            continue


if __name__ == "__main__":
    print("\n".join(answered()))
