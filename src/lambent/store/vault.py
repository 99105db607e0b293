"""Secrets of records, encrypted before they come near the database: AES-256-GCM under a key of the data directory.

Protects copies of the database and of its log (a backup, a support bundle, a disk image), not against whoever can read
the whole data directory. What a secret belongs to is authenticated with it: a sealed text that was moved to another
record does not open.
"""

import base64
import os
from functools import cached_property
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection

from lambent.store.datadir import DataDirError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES: Final = 12


CARRIED_AS: Final = "vault"
"""Under this name the database carries the `Vault` to each transaction (`Database.carry`)."""


class WrongKey(DataDirError):
    """What was sealed does not open: the key is another one, or the record was changed."""


class Vault:
    def __init__(self, key: bytes) -> None:
        """`key`: 32 bytes as hex digits, as `DataDir.secret` gives them."""
        self._key = key

    @cached_property
    def _cipher(self) -> "AESGCM":
        # Here and not above: the import takes 11 ms, and a server whose functions have no variables never needs it.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        return AESGCM(bytes.fromhex(self._key.decode()))

    def seal(self, secret: bytes, owner: str) -> str:
        """Text for a record of `owner`; another one each time."""
        nonce = os.urandom(_NONCE_BYTES)
        return base64.b64encode(nonce + self._cipher.encrypt(nonce, secret, owner.encode())).decode()

    def open(self, sealed: str, owner: str) -> bytes:
        """Raises `WrongKey`."""
        from cryptography.exceptions import InvalidTag

        data = base64.b64decode(sealed)
        try:
            return self._cipher.decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], owner.encode())
        except InvalidTag:
            raise WrongKey(
                f"What is secret of {owner} cannot be decrypted: the key in the data directory's secrets"
                " folder is not the one that it was encrypted with. Put secrets/variables back from your backup."
            ) from None

    def __repr__(self) -> str:
        return "Vault()"


def vault_of(connection: Connection) -> Vault:
    vault = connection.engine.get_execution_options()[CARRIED_AS]
    assert isinstance(vault, Vault)
    return vault
