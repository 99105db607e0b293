"""What of a message never changes, as the bytes that the store keeps: MessagePack, without names."""

from typing import Final

import msgspec

from lambent.services.sqs.records import AttributeValue, Outgoing

FIRST_SEQUENCE: Final = 17_000_000_000_000_000_000
"""Shown numbers have 20 digits; what is stored is added to this."""


class Content(msgspec.Struct, array_like=True, frozen=True):
    message_id: str
    sender_id: str
    body: bytes
    attributes: dict[str, AttributeValue]
    trace_header: str | None
    deduplication_id: str | None
    sequence: int | None

    @property
    def sequence_number(self) -> str | None:
        return None if self.sequence is None else shown_sequence(self.sequence)


def pack(message: Outgoing, message_id: str, deduplication_id: str | None, sequence: int | None) -> bytes:
    return _encoder.encode(
        (
            message_id,
            message.sender_id,
            message.body,
            message.attributes,
            message.trace_header,
            deduplication_id,
            sequence,
        )
    )


def unpack(packed: bytes) -> Content:
    return _decoder.decode(packed)


def repack(content: Content, *, message_id: str, sequence: int | None) -> bytes:
    """The same as a new message."""
    return _encoder.encode(msgspec.structs.replace(content, message_id=message_id, sequence=sequence))


def shown_sequence(sequence: int) -> str:
    return str(FIRST_SEQUENCE + sequence)


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Content)
