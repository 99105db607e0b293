"""The kinds of documents that a bucket can have. Versioning, ownership and whether it is locked are in its own row."""

from enum import StrEnum


class Kind(StrEnum):
    ACCELERATE = "accelerate"
    ACL = "acl"
    CORS = "cors"
    ENCRYPTION = "encryption"
    LIFECYCLE = "lifecycle"
    LOCK = "object-lock"
    NOTIFICATION = "notification"
    PAYMENT = "payment"
    POLICY = "policy"
    PUBLIC_ACCESS = "public-access"
    TAGGING = "tagging"
