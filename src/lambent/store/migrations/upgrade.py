"""Runs Alembic on an open connection. Imported only when there is something to run."""

from importlib import resources

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection


def upgrade(connection: Connection, target: str = "head") -> None:
    with resources.as_file(resources.files("lambent.store.migrations")) as folder:
        config = Config()
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        config.attributes["connection"] = connection
        with connection.begin():
            command.upgrade(config, target)
