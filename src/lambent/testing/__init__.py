"""Lambent in tests: of its users (`server`), and of itself (the fakes in the modules here)."""

from lambent.testing.fixture import server

__all__ = ["server"]
