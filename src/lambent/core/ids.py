"""Identifiers. Random ones come from the kernel, so that they differ between forks and restored processes."""

import os
import secrets


def uuid4() -> str:
    """A random UUID in its 36-character form; twice as fast as `str(uuid.uuid4())`."""
    h = os.urandom(16).hex()
    variant = "89ab"[int(h[16], 16) & 3]
    return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-{variant}{h[17:20]}-{h[20:]}"


def hex32() -> str:
    return secrets.token_hex(16)
