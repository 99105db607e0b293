"""Tables of the ledger and of budgets."""

from sqlalchemy import BigInteger, Column, Integer, MetaData, String, Table

from lambent.billing.rows import Sums

metadata = MetaData()

usage = Table(
    "billing_usage",
    metadata,
    Column("span", String(8), primary_key=True),
    Column("start_ms", BigInteger, primary_key=True),
    Column("account", String(12), primary_key=True),
    Column("region", String(32), primary_key=True),
    Column("function", String(64), primary_key=True),
    Column("version", String(16), primary_key=True),
    Column("architecture", String(16), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("tenant", String(256), primary_key=True),
    *(Column(name, BigInteger, nullable=False) for name in Sums._fields),
)

budgets = Table(
    "billing_budgets",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("region", String(32), primary_key=True),
    Column("function", String(64), primary_key=True),
    Column("amount", String(32), nullable=False),
    Column("stop", Integer, nullable=False),
)
