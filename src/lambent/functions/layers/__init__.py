"""Layers: their records and rows, their API, and what of them a function uses."""
