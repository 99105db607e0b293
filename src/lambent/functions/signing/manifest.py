"""The signature inside a package: `META-INF/lambent-signature.json`. docs/code-signing.md describes the format.

AWS Signer puts a file of its own into packages; AWS does not document it, and nothing here reads it. What is signed is
the list of all members with mode and digest, and the names of profile and job; so a file that is added, taken away or
changed shows, and how the zip was packed does not matter.
"""

import base64
import binascii
import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509 import load_pem_x509_certificate

PATH: Final = "META-INF/lambent-signature.json"
VERSION: Final = 1
PURPOSE: Final = b"lambent-signature-v1\n"
"""Before the signed text: a signature made for something else is none of a package."""
EPOCH: Final = (1980, 1, 1, 0, 0, 0)
MAX_BYTES: Final = 64 * 1024 * 1024
_HASH: Final = hashes.SHA384()
_CHUNK: Final = 1 << 20

PrivateKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PublicKey = ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey


class BadKey(ValueError):
    """A key that cannot be used. For the user."""


class Malformed(ValueError):
    """There is a signature file, and it is not one."""


@dataclass(frozen=True, slots=True)
class Manifest:
    profile: str
    job: str
    signed: str
    """When, in ISO 8601."""
    members: Mapping[str, str]
    """By path: the mode in octal and the SHA-256 in hex, with a blank between."""
    signature: bytes = b""

    def text(self) -> bytes:
        """What is signed."""
        return PURPOSE + json.dumps(self._document(), sort_keys=True, separators=(",", ":")).encode()

    def to_json(self) -> bytes:
        signature = base64.b64encode(self.signature).decode()
        return json.dumps({**self._document(), "signature": signature}, indent=1, sort_keys=True).encode()

    def _document(self) -> dict[str, Any]:
        document = {"profile": self.profile, "job": self.job, "signed": self.signed, "members": dict(self.members)}
        return {"version": VERSION, **document}


def sign(archive: bytes, profile: str, job: str, key: PrivateKey, now: datetime) -> bytes:
    """The package with its signature; an older one is replaced. `zipfile.BadZipFile` for what is no zip."""
    stamp = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    with zipfile.ZipFile(io.BytesIO(archive)) as package:
        unsigned = Manifest(profile, job, stamp, members(package))
        out = io.BytesIO(archive)
        if PATH in package.namelist():
            out = io.BytesIO()
            with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as copy:
                for item in package.infolist():
                    if item.filename != PATH:
                        copy.writestr(item, package.read(item))
    manifest = Manifest(profile, job, stamp, unsigned.members, _sign(key, unsigned.text()))
    out.seek(0)
    with zipfile.ZipFile(out, "a", zipfile.ZIP_DEFLATED) as signed:
        item = zipfile.ZipInfo(PATH, EPOCH)
        item.external_attr = 0o100644 << 16
        item.compress_type = zipfile.ZIP_DEFLATED
        signed.writestr(item, manifest.to_json())
    return out.getvalue()


def read(package: zipfile.ZipFile) -> Manifest | None:
    """The manifest of a package; None when it is not signed. Raises `Malformed`."""
    try:
        item = package.getinfo(PATH)
    except KeyError:
        return None
    if item.file_size > MAX_BYTES:
        raise Malformed("the signature file is too large")
    try:
        found = json.loads(package.read(item))
        if not isinstance(found, dict) or found.get("version") != VERSION:
            raise Malformed(f"the signature file has no version {VERSION}")
        texts = [found[name] for name in ("profile", "job", "signed", "signature")]
        listed = found["members"]
        if not all(isinstance(text, str) for text in texts) or not isinstance(listed, dict):
            raise Malformed("the signature file has members of other types")
        signature = base64.b64decode(texts[3], validate=True)
    except (ValueError, KeyError, RecursionError, binascii.Error, zipfile.BadZipFile) as error:
        raise error if isinstance(error, Malformed) else Malformed("the signature file cannot be read") from error
    return Manifest(texts[0], texts[1], texts[2], listed, signature)


def members(package: zipfile.ZipFile) -> dict[str, str]:
    """What a package holds beside its signature. The caller has checked that it is not too large."""
    found: dict[str, str] = {}
    for item in package.infolist():
        if item.is_dir() or item.filename == PATH:
            continue
        digest = hashlib.sha256()
        with package.open(item) as content:
            while chunk := content.read(_CHUNK):
                digest.update(chunk)
        found[item.filename] = f"{item.external_attr >> 16:o} {digest.hexdigest()}"
    return found


def is_signed_by(manifest: Manifest, key: PublicKey) -> bool:
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(manifest.signature, manifest.text())
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(manifest.signature, manifest.text(), ec.ECDSA(_HASH))
        else:
            key.verify(manifest.signature, manifest.text(), _pss(), _HASH)
    except InvalidSignature:
        return False
    return True


def private_key(pem: bytes) -> PrivateKey:
    """Raises `BadKey`."""
    try:
        key = serialization.load_pem_private_key(pem, None)
    except (ValueError, TypeError) as error:
        raise BadKey("no private key in PEM without a password") from error
    if not isinstance(key, PrivateKey):
        raise BadKey("a key of another kind than Ed25519, ECDSA or RSA")
    return key


def public_key(pem: bytes) -> PublicKey:
    """Of a public key or a certificate. Whether a certificate is valid or trusted is not asked. Raises `BadKey`."""
    try:
        if b"BEGIN CERTIFICATE" in pem:
            key: object = load_pem_x509_certificate(pem).public_key()
        else:
            key = serialization.load_pem_public_key(pem)
    except ValueError as error:
        raise BadKey("neither a public key nor a certificate in PEM") from error
    if not isinstance(key, PublicKey):
        raise BadKey("a key of another kind than Ed25519, ECDSA or RSA")
    return key


def _sign(key: PrivateKey, text: bytes) -> bytes:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(text)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(text, ec.ECDSA(_HASH))
    return key.sign(text, _pss(), _HASH)


def _pss() -> padding.PSS:
    return padding.PSS(padding.MGF1(_HASH), _HASH.digest_size)
