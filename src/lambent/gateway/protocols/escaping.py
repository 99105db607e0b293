"""Text in XML. As `xml.sax.saxutils`, which would take urllib's and http's clients with it."""

from collections.abc import Mapping


def escape(text: str, references: Mapping[str, str] | None = None) -> str:
    """`references` are further characters, and what stands for them."""
    text = text.replace("&", "&amp;").replace(">", "&gt;").replace("<", "&lt;")
    for character, reference in (references or {}).items():
        text = text.replace(character, reference)
    return text
