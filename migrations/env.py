"""Alembic's entry: runs the migrations on the connection that `store.schema` hands over.

Called by the `alembic` command (to write a new revision, say), it opens the database that
`TWINSCOPE_DATABASE_URL` names.
"""

from alembic import context
from sqlalchemy import Connection

from store.engine import open_engine, writing
from store.schema import VERSION_TABLE
from store.tables_all import metadata


def migrate(connection: Connection) -> None:
    """Run the migrations that were asked for, in the connection's transaction."""
    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table=VERSION_TABLE,
        compare_type=True,
        render_as_batch=connection.dialect.name == "sqlite",
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    migrate(given)
else:
    engine = open_engine(must_be_current=False)
    with writing(engine) as opened:
        migrate(opened)
    engine.dispose()
