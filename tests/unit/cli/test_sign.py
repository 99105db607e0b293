"""`lambent sign`, and the setting that names keys."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from lambent.core.setting_values import SettingsError
from lambent.core.settings import load
from lambent.functions.signing import manifest, profiles
from lambent.functions.signing.manifest import PrivateKey
from tests.unit.cli.conftest import Outcome

Run = Callable[..., Outcome]
PROFILE = "arn:aws:signer:us-east-1:000000000000:/signing-profiles/mine/1"
KEYS: dict[str, Callable[[], PrivateKey]] = {
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
    "ECDSA": lambda: ec.generate_private_key(ec.SECP256R1()),
    "RSA": lambda: rsa.generate_private_key(65537, 2048),
}


def written(key: PrivateKey, folder: Path) -> tuple[Path, Path]:
    """The files of the private and the public key."""
    private, public = folder / "key.pem", folder / "public.pem"
    none = serialization.NoEncryption()
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, none))
    public.write_bytes(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return private, public


@pytest.mark.parametrize("kind", KEYS)
def test_a_folder_is_signed_and_the_configured_key_verifies_it(run: Run, tmp_path: Path, kind: str) -> None:
    private, public = written(KEYS[kind](), tmp_path)
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "app.py").write_text("x = 1\n")
    output = tmp_path / "signed.zip"
    outcome = run("sign", str(tmp_path / "app"), "--profile", PROFILE, "--key", str(private), "-o", str(output))
    assert outcome.code == 0, outcome.err
    assert outcome.out.splitlines()[:2] == [f"signed    {output}", f"profile   {PROFILE}"]
    settings = tmp_path / "lambent.toml"
    settings.write_text(f'[signing-profiles]\n"{PROFILE}" = "{public}"\n')
    key = profiles.load(load(config=settings, environ={}).signing_profiles)[PROFILE]
    again = tmp_path / "again.zip"
    outcome = run("sign", str(output), "--profile", PROFILE, "--key", str(private), "-o", str(again), "--json")
    assert json.loads(outcome.out)["profile"] == PROFILE
    for file in (output, again):
        with zipfile.ZipFile(io.BytesIO(file.read_bytes())) as package:
            assert package.namelist() == ["app.py", manifest.PATH]
            found = manifest.read(package)
            assert found is not None
            assert found.members == manifest.members(package)
        assert manifest.is_signed_by(found, key)


def test_what_cannot_be_signed_is_one_line(run: Run, tmp_path: Path) -> None:
    private, public = written(KEYS["Ed25519"](), tmp_path)
    target = ("-o", str(tmp_path / "out.zip"))
    for source, profile, key, said in (
        (tmp_path, "arn:aws:lambda:x", private, "is no ARN of a signing profile version"),
        (tmp_path, PROFILE, public, "no private key in PEM"),
        (tmp_path, PROFILE, tmp_path / "none.pem", "No such file"),
        (private, PROFILE, private, "is neither a folder nor a zip"),
    ):
        outcome = run("sign", str(source), "--profile", profile, "--key", str(key), *target)
        assert outcome.code == 2
        assert said in outcome.err
    assert not (tmp_path / "out.zip").exists()


def test_a_key_that_cannot_be_used_stops_the_server_with_its_profile(run: Run, tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text("nothing")
    config = tmp_path / "lambent.toml"
    config.write_text(f'[signing-profiles]\n"{PROFILE}" = "{tmp_path}/key.pem"\n')
    outcome = run("up", "--config", str(config))
    assert outcome.code == 2
    assert f"signing-profiles, {PROFILE}: neither a public key nor a certificate in PEM" in outcome.err
    config.write_text(f'[signing-profiles]\n"{PROFILE}" = "{tmp_path}/none.pem"\n')
    with pytest.raises(SettingsError, match=r"none\.pem cannot be read"):
        load(config=config, environ={})


def test_a_variable_may_name_them(tmp_path: Path) -> None:
    (tmp_path / "a.pem").write_text("a")
    found = load(environ={"LAMBENT_SIGNING_PROFILES": f"{PROFILE}={tmp_path}/a.pem"}).signing_profiles
    assert found == ((PROFILE, b"a"),)
