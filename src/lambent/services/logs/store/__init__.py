"""All SQL of logs. Each function takes the connection of `Database.write` or `Database.read` and works in that
transaction. `metadata` is what the migrations are checked against.
"""

from lambent.services.logs.store.tables import metadata

__all__ = ["metadata"]
