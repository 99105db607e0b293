"""Limits of the control plane, as numbers. Defaults are AWS's."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotas:
    min_timeout_s: int = 1
    max_timeout_s: int = 900
    min_memory_mb: int = 128
    max_memory_mb: int = 10_240
    min_ephemeral_storage_mb: int = 512
    max_ephemeral_storage_mb: int = 10_240
    max_variables_bytes: int = 4096
    max_zipped_bytes: int = 52_428_800
    """Of an archive sent in the request."""
    max_unzipped_bytes: int = 262_144_000
    max_package_entries: int = 65_535
    """Files and folders of one package. Ours: AWS publishes none, and each costs an inode here."""
    max_code_storage_bytes: int = 80_530_636_800
    max_tags: int = 50
    max_name_length: int = 64
    page_size: int = 50
    concurrent_executions: int = 1000
    code_url_s: int = 600
