"""`lambent sign`: a package with a signature that a server with the public key can verify. Needs no server."""

import json
import re
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import click

from lambent.cli import options
from lambent.cli.failure import USAGE, Failure
from lambent.core.ids import uuid4
from lambent.functions.signing import manifest
from lambent.packaging import archive
from lambent.packaging.folder import PackagingError

_PROFILE = re.compile(r"arn:(aws[a-zA-Z-]*):signer:([a-z0-9-]+):([0-9]{12}):/signing-profiles/\S+")


@click.command()
@click.argument("source", metavar="DIR|ZIP", type=click.Path(path_type=Path))
@click.option("--profile", required=True, metavar="ARN", help="The signing profile version.")
@click.option("--key", required=True, type=click.Path(path_type=Path), help="Private key in PEM.")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The signed zip.")
@options.as_json
def sign(source: Path, profile: str, key: Path, output: Path, as_json: bool) -> None:
    """Sign a folder or a zip with an Ed25519, ECDSA or RSA key.

    The server verifies it with the public key that its setting [signing-profiles] names for the profile.
    """
    match = _PROFILE.fullmatch(profile)
    if match is None:
        text = "one looks like arn:aws:signer:us-east-1:000000000000:/signing-profiles/mine/1"
        raise Failure(f"'{profile}' is no ARN of a signing profile version; {text}", USAGE)
    job = f"arn:{match[1]}:signer:{match[2]}:{match[3]}:/signing-jobs/{uuid4()}"
    try:
        private = manifest.private_key(key.read_bytes())
        package = archive.of_folder(source) if source.is_dir() else source.read_bytes()
        signed = manifest.sign(package, profile, job, private, datetime.now(UTC))
        output.write_bytes(signed)
    except manifest.BadKey as error:
        raise Failure(f"{key}: {error}", USAGE) from error
    except zipfile.BadZipFile as error:
        raise Failure(f"{source} is neither a folder nor a zip", USAGE) from error
    except PackagingError as error:
        raise Failure(str(error), USAGE) from error
    except OSError as error:
        raise Failure(f"{error.filename}: {error.strerror}", USAGE) from error
    if as_json:
        click.echo(json.dumps({"output": str(output), "profile": profile, "job": job}, indent=2))
        return
    for subject, text in (("signed", str(output)), ("profile", profile), ("job", job)):
        click.echo(f"{subject:<10}{text}")
