"""How much all environments of a machine hold for their subscribers: one count, one bound."""

MACHINE_BYTES = 64 * 1024 * 1024


class Memory:
    """The bytes of events that all environments of a machine hold for their subscribers."""

    __slots__ = ("limit_bytes", "used_bytes")

    def __init__(self, limit_bytes: int = MACHINE_BYTES) -> None:
        self.limit_bytes = limit_bytes
        self.used_bytes = 0
