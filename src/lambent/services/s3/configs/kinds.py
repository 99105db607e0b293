"""The kinds of documents that a bucket can have. Versioning, ownership and object lock are in its own row."""

from enum import StrEnum


class Kind(StrEnum):
    ACCELERATE = "accelerate"
    ACL = "acl"
    ANALYTICS = "analytics"
    CORS = "cors"
    ENCRYPTION = "encryption"
    INTELLIGENT_TIERING = "intelligent-tiering"
    INVENTORY = "inventory"
    LIFECYCLE = "lifecycle"
    LOCK = "object-lock"
    LOGGING = "logging"
    METRICS = "metrics"
    NOTIFICATION = "notification"
    OWNERSHIP = "ownership"
    PAYMENT = "payment"
    POLICY = "policy"
    PUBLIC_ACCESS = "public-access"
    TAGGING = "tagging"
    WEBSITE = "website"
