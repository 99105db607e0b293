"""Sandbox drivers: `native` (the launcher), `process` (development), and the probe that chooses between them."""
