"""The command ``twinscope``: its verbs by name, nothing but wiring.

Each verb imports what it runs when it runs it: `twinscope runs` never waits for torch.
"""

from __future__ import annotations

import sys

import typer

from twinscope import computing, faults, keeping, serving
from twinscope.database import database
from twinscope.labels import labels
from twinscope.users import users

app = typer.Typer(
    name="twinscope",
    help="Puts each neuron's SoLU and GeLU versions side by side, and shows what a page of top "
    "activations hides.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for verb in (
    serving.demo,
    serving.serve,
    serving.worker,
    computing.precompute,
    computing.fetch,
    computing.evidence,
    computing.counterexamples,
    computing.train,
    keeping.runs,
    keeping.verify,
    keeping.export,
):
    app.command()(verb)
app.command("import")(keeping.import_)
app.add_typer(database, name="db", no_args_is_help=True)
app.add_typer(users, name="users", no_args_is_help=True)
app.add_typer(labels, name="labels", no_args_is_help=True)


def main() -> None:
    """Run the command line; exit with 0, 1, 2 or 130 and no traceback."""
    sys.exit(faults.run(app))
