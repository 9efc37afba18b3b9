"""``twinscope db``: the database brought up to date, checked, described."""

from __future__ import annotations

import typer

from twinscope import faults
from twinscope.options import DataDirOption, use_data_dir

database = typer.Typer(help="The database: bring it up to date, check it, describe it.")


@database.command("upgrade")
def upgrade_database(data_dir: DataDirOption = None) -> None:
    """Bring the database's tables up to date."""
    use_data_dir(data_dir)
    from store import schema
    from store.engine import open_engine, shown_url

    engine = open_engine(must_be_current=False)
    before, after = schema.upgrade(engine)
    if before == after:
        print(f"{shown_url(engine)} is up to date already.")
    else:
        print(f"{shown_url(engine)} is up to date.")


@database.command("check")
def check_database(data_dir: DataDirOption = None) -> None:
    """Compare the database's tables with those of this version of Twinscope."""
    use_data_dir(data_dir)
    from store import schema
    from store.engine import open_engine

    differences = schema.check(open_engine())
    if differences:
        raise faults.Fault(
            f"The database differs from this version of Twinscope: {' '.join(differences)}"
        )
    print("The database's tables are those of this version of Twinscope.")


@database.command("info")
def describe_database(data_dir: DataDirOption = None) -> None:
    """Say where the database is, how large it is, and what it holds."""
    use_data_dir(data_dir)
    from store import schema
    from store.engine import open_engine
    from twinscope import listing

    listing.print_database(schema.describe(open_engine(must_be_current=False)))
