"""A certificate authority of the tests, and what it says of a server on 127.0.0.1. Made anew for each use."""

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

LIFE = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Certified:
    """Files: who signed, the certificate, and its key."""

    authority: Path
    certificate: Path
    key: Path


def certify(folder: Path, *, host: str = "127.0.0.1") -> Certified:
    """A new authority in `folder`, and a certificate for the address `host`."""
    now = datetime.datetime.now(datetime.UTC)
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root_number = x509.random_serial_number()
    root_name = _name(f"authority {root_number}")

    def begin(subject: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(root_name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - LIFE)
            .not_valid_after(now + LIFE)
        )

    root = begin(root_name, root_key.public_key())
    root = root.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    leaf = begin(_name("server of a test"), key.public_key())
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))])
    made = Certified(folder / "authority.pem", folder / "server.pem", folder / "server.key")
    pem = serialization.Encoding.PEM
    made.authority.write_bytes(root.sign(root_key, hashes.SHA256()).public_bytes(pem))
    made.certificate.write_bytes(
        leaf.add_extension(names, critical=False).sign(root_key, hashes.SHA256()).public_bytes(pem)
    )
    made.key.touch(0o600)
    plain = serialization.NoEncryption()
    made.key.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    return made


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
