"""The privileged helper process and what both sides of its socket share. Imports only the standard library and core."""
