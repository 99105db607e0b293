"""Column types that mean the same on every database."""

from sqlalchemy import BigInteger, Integer, String
from sqlalchemy.types import TypeEngine


def row_id() -> TypeEngine[int]:
    """64 bits everywhere: SQLite counts only `INTEGER` keys up by itself, and those have 64 bits."""
    return BigInteger().with_variant(Integer(), "sqlite")


def ordered_text(length: int) -> TypeEngine[str]:
    """Text that is compared and sorted by its bytes, as AWS does, whatever language the database is in."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")
