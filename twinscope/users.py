"""`twinscope users`: the accounts of team mode.

    twinscope users add ada --role owner        asks for the password, or reads it from stdin
    twinscope users list
    twinscope users password ada
    twinscope users role ada annotator
    twinscope users remove ada

A password is never an argument: arguments stand in the shell's history and in the list of
processes. On a terminal it is asked for twice without showing it; else it is the first line of
standard input.
"""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from twinscope import faults
from twinscope.options import DataDirOption, upgrade_own_database, use_data_dir

if TYPE_CHECKING:
    from collections.abc import Sequence

    from store.accounts import AccountRecord
    from store.engine import Engine

users = typer.Typer(help="Accounts of team mode: who may log in, and what they may do.")

Name = Annotated[str, typer.Argument(help="The account's name.")]
RoleName = Literal["reader", "annotator", "owner"]


@users.command("add")
def add(
    name: Name,
    role: Annotated[RoleName, typer.Option(help="What it may do.")] = "annotator",
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Take over labels that were made under this name.")
    ] = False,
    data_dir: DataDirOption = None,
) -> None:
    """Add an account; the password is asked for, or read from standard input."""
    engine = _engine(data_dir)
    from server import passwords
    from store import accounts

    accounts.must_be_free(engine, name, role, adopt=adopt)
    accounts.add(engine, name, role, passwords.hashed(_new_password(name)), adopt=adopt)
    print(f"{name} may log in now, as {_a(role)}.")


@users.command("list")
def list_users(data_dir: DataDirOption = None) -> None:
    """List the accounts with their roles, labels and sessions."""
    engine = _engine(data_dir)
    from store import accounts

    _print(accounts.list_accounts(engine))


@users.command("password")
def password(name: Name, data_dir: DataDirOption = None) -> None:
    """Set another password; whoever is logged in as this account is logged out."""
    engine = _engine(data_dir)
    from server import passwords
    from store import accounts

    accounts.must_be_there(engine, name)
    accounts.set_password(engine, name, passwords.hashed(_new_password(name)))
    print(f"{name} has another password; all of its sessions have ended.")


@users.command("role")
def role(
    name: Name,
    role: Annotated[RoleName, typer.Argument(help="What it may do from now on.")],
    data_dir: DataDirOption = None,
) -> None:
    """Give an account another role; it holds at once."""
    engine = _engine(data_dir)
    from store import accounts

    accounts.set_role(engine, name, role)
    print(f"{name} is {_a(role)} now.")


@users.command("remove")
def remove(name: Name, data_dir: DataDirOption = None) -> None:
    """Remove an account and end its sessions; its labels stay, under its name."""
    engine = _engine(data_dir)
    from store import accounts

    accounts.remove(engine, name)
    print(f"{name} cannot log in any more; its labels stay.")


def _engine(data_dir: Path | None) -> Engine:
    """The database, opened as `twinscope runs` opens it; the user's own is brought up to date."""
    use_data_dir(data_dir)
    upgrade_own_database()
    from store.engine import open_engine

    return open_engine()


def _print(found: Sequence[AccountRecord]) -> None:
    from rich.console import Console
    from rich.table import Table

    if not found:
        print("No account yet; `twinscope users add NAME --role owner` makes the first.")
        return
    table = Table("name", "role", "labels", "sessions", "since", "changed")
    for one in found:
        since, changed = (f"{moment:%Y-%m-%d %H:%M}" for moment in (one.created_at, one.changed_at))
        table.add_row(one.name, one.role, str(one.n_labels), str(one.n_sessions), since, changed)
    Console().print(table)


def _new_password(name: str) -> str:
    """Asked for twice on a terminal, else one line of standard input. Faults: it cannot be one."""
    from server import passwords
    from server.errors import BadPassword

    if sys.stdin.isatty():
        typed = getpass.getpass(f"Password of {name}: ")
        if typed and typed != getpass.getpass("The same again: "):
            raise faults.Fault("The password was not typed the same twice; nothing was changed.")
    else:
        typed = sys.stdin.readline().rstrip("\r\n")
    try:
        return passwords.checked(typed)
    except BadPassword as fault:
        raise faults.Fault(f"{fault.message} {fault.hint}") from None


def _a(role: str) -> str:
    return f"{'a' if role == 'reader' else 'an'} {role}"
