"""A row a version for its examples, histograms and mined counterexamples; values as codes, packed.

Examples' values and the numbers of the inverted index are rounded to the precision that
`store.value_codes` and `store.log_codes` state; a downgrade gives the tables back with the rounded
values. Windows' tokens take as many bits as the vocabulary needs; windows that were there have no
scales, so the examples on them keep all their values themselves.

This reads and writes packed arrays with the program's own `store.example_packing`,
`store.mined_packing` and `store.packing`. A change of those formats must leave copies of these
here: `tests/store/test_packed_formats.py` fails with such a change, and says so.

SQLite keeps the space that becomes free for what is published next; `VACUUM` gives it back.

Revision ID: 0007
Revises: 0006
"""

import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import Any

import numpy as np
import sqlalchemy as sa
from alembic import op

from store import mined_packing, packing
from store.evidence_records import CounterexampleRecord
from store.example_columns import of_records
from store.example_packing import pack_places, pack_values, unpack, unpack_places
from store.firing_packing import Firing, pack_firing, pack_spread, unpack_firing, unpack_spread
from store.records import BANDS, ExampleRecord, OtherValues
from store.token_records import spread_of
from store.token_scales import ScaleCodes, Snippets

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

Row = dict[str, Any]

VERSION = ("run_key", "side", "layer", "neuron")
KINDS = ("across", "within")
AT_ONCE = 64  # versions


def upgrade() -> None:
    _remake("histogram", [_blob("counts")], _histograms_together, rowid=False)
    _remake("partner", [_blob("partners")], _partners_together, rowid=False)
    op.drop_index(op.f("ix_example_run_key_document_window"), table_name="example")
    _remake("example", [_blob("places"), _blob("snippets")], _examples_together, rowid=False)
    _join_examples()
    op.add_column("window", sa.Column("scales", sa.LargeBinary(), nullable=True))
    _rewrite_windows(_old_tokens, packing.pack_window)
    op.create_table(
        "token_spread",
        sa.Column("run_key", sa.Integer(), nullable=False),
        sa.Column("side", sa.String(length=5), nullable=False),
        sa.Column("layer", sa.SmallInteger(), nullable=False),
        sa.Column("spread", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("side IN ('left', 'right')", name=op.f("ck_token_spread_side")),
        sa.ForeignKeyConstraint(
            ["run_key"], ["run.key"], name=op.f("fk_token_spread_run_key"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_key", "side", "layer", name=op.f("pk_token_spread")),
    )
    _rewrite_firing(
        _made_spreads(),
        lambda packed, spread: _old_firing(packed),
        lambda read, spread: pack_firing([Firing(*read)], spread)[0],
    )
    _rewrite_arrays("hidden_curve", "mass", _old_mass, packing.pack_mass)
    _rewrite_arrays("joint_density", "counts", _old_counts, packing.pack_counts)
    _counterexamples_together()
    _forget_sizes()


def downgrade() -> None:
    _counterexamples_apart()
    _rewrite_arrays("joint_density", "counts", packing.unpack_counts, _as_old_counts)
    _rewrite_arrays("hidden_curve", "mass", packing.unpack_mass, _as_old_mass)
    _rewrite_firing(_spreads(), unpack_firing, lambda read, spread: _as_old_firing(*read))
    op.drop_table("token_spread")
    _part_examples()
    _remake(
        "example",
        [
            sa.Column("band", sa.SmallInteger(), nullable=False),
            sa.Column("rank", sa.SmallInteger(), nullable=False),
            sa.Column("document", sa.Integer(), nullable=False),
            sa.Column("window", sa.Integer(), nullable=False),
            sa.Column("position", sa.Integer(), nullable=False),
            sa.Column("start", sa.Integer(), nullable=False),
            sa.Column("activation", sa.Double(), nullable=False),
            _blob("own_values"),
            sa.Column("same_index_quantile", sa.Double(), nullable=True),
            sa.Column("same_index_values", sa.LargeBinary(), nullable=True),
            sa.Column("match_neuron", sa.Integer(), nullable=True),
            sa.Column("match_quantile", sa.Double(), nullable=True),
            sa.Column("match_values", sa.LargeBinary(), nullable=True),
        ],
        _examples_apart,
        sa.CheckConstraint(
            "(match_neuron IS NULL) = (match_values IS NULL)", name=op.f("ck_example_match_whole")
        ),
        sa.CheckConstraint("band BETWEEN 0 AND 7", name=op.f("ck_example_band")),
        sa.CheckConstraint("start BETWEEN 0 AND position", name=op.f("ck_example_start")),
        sa.ForeignKeyConstraint(
            ["run_key", "document", "window"],
            ["window.run_key", "window.document", "window.window"],
            name=op.f("fk_example_run_key_document_window"),
        ),
        key=("band", "rank"),
    )
    op.create_index(
        op.f("ix_example_run_key_document_window"), "example", ["run_key", "document", "window"]
    )
    _remake(
        "partner",
        [
            sa.Column("kind", sa.String(length=6), nullable=False),
            sa.Column("rank", sa.SmallInteger(), nullable=False),
            sa.Column("partner_layer", sa.SmallInteger(), nullable=False),
            sa.Column("partner_neuron", sa.Integer(), nullable=False),
            sa.Column("correlation", sa.Double(), nullable=False),
        ],
        _partners_apart,
        sa.CheckConstraint("kind IN ('across', 'within')", name=op.f("ck_partner_kind")),
        key=("kind", "rank"),
        rowid=False,
    )
    _remake(
        "histogram",
        [sa.Column("site", sa.String(length=4), nullable=False), _blob("counts")],
        _histograms_apart,
        sa.CheckConstraint("site IN ('pre', 'mid', 'post')", name=op.f("ck_histogram_site")),
        key=("site",),
        rowid=False,
    )
    _rewrite_windows(packing.unpack_window, _as_old_tokens)
    op.drop_column("window", "scales")
    _forget_sizes()


def _forget_sizes() -> None:
    """What a run took is not what it takes now; pages say that it is not known."""
    op.execute("UPDATE run SET size_bytes = NULL")


def _blob(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.LargeBinary(), nullable=False)


def _remake(
    name: str,
    columns: list[sa.Column[Any]],
    convert: Callable[[list[Row]], list[Row]],
    *constraints: Any,
    key: tuple[str, ...] = (),
    rowid: bool = True,
) -> None:
    """Make a table anew under its name; `convert` takes the rows of some whole versions.

    By way of a table without constraints: while both stand, their names would be the same.
    """
    connection = op.get_bind()
    version = _version_columns()
    old = sa.Table(name, sa.MetaData(), autoload_with=connection, resolve_fks=False)
    plain = (sa.Column(column.name, column.type) for column in (*version, *columns))
    staged = op.create_table(f"{name}_0007", *plain)
    neuron = sa.table("neuron", *(sa.column(part) for part in VERSION))
    layers = sa.select(*list(neuron.c)[:3], sa.func.max(neuron.c.neuron))
    for *place, last in connection.execute(layers.group_by(*list(neuron.c)[:3])).all():
        here = [old.c[part] == value for part, value in zip(VERSION, place, strict=False)]
        for first in range(0, last + 1, AT_ONCE):
            some = old.c.neuron.between(first, first + AT_ONCE - 1)
            query = sa.select(old).where(*here, some).order_by(*old.primary_key.columns)
            made = convert([dict(row) for row in connection.execute(query).mappings()])
            if made:
                connection.execute(staged.insert(), made)
    op.drop_table(name)
    new = op.create_table(
        name,
        *version,
        *columns,
        *constraints,
        *_version_constraints(name, (*VERSION, *key)),
        sqlite_with_rowid=rowid,
    )
    names = [column.name for column in staged.columns]
    in_order = sa.select(staged).order_by(*(staged.c[part] for part in (*VERSION, *key)))
    connection.execute(new.insert().from_select(names, in_order))
    op.drop_table(staged.name)


BESIDE = ("partners", "promoted", "suppressed")


def _join_examples() -> None:
    """One row of `example` for a version's row there, in `partner` and in `logit_effect`."""
    neuron = _named("neuron", VERSION)
    parts = {
        "example": _named("example", (*VERSION, "places", "snippets")),
        "partner": _named("partner", (*VERSION, "partners")),
        "logit_effect": _named("logit_effect", (*VERSION, "promoted", "suppressed")),
    }
    joined: Any = neuron
    for part in parts.values():
        joined = joined.outerjoin(
            part, sa.and_(*(part.c[name] == neuron.c[name] for name in VERSION))
        )
    nothing = sa.literal(packing.pack_partners([[]])[0], sa.LargeBinary())
    found = sa.select(
        *neuron.c,
        parts["example"].c.places,
        parts["example"].c.snippets,
        sa.func.coalesce(parts["partner"].c.partners, nothing).label("partners"),
        parts["logit_effect"].c.promoted,
        parts["logit_effect"].c.suppressed,
    ).select_from(joined)
    blobs = [sa.Column(name, sa.LargeBinary(), nullable=name != "partners") for name in BESIDE]
    _replace(
        "example",
        [
            sa.Column("places", sa.LargeBinary(), nullable=True),
            sa.Column("snippets", sa.LargeBinary(), nullable=True),
            *blobs,
        ],
        found,
        *(
            sa.CheckConstraint(f"({one} IS NULL) = ({other} IS NULL)", name=op.f(name))
            for name, one, other in (
                ("ck_example_whole", "places", "snippets"),
                ("ck_example_effects_whole", "promoted", "suppressed"),
            )
        ),
        dropped=parts,
    )


def _part_examples() -> None:
    """The other way round, with the packed arrays as they are."""
    example = _named("example", (*VERSION, "places", "snippets", *BESIDE))
    for name, columns, some in (
        ("partner", ("partners",), None),
        ("logit_effect", ("promoted", "suppressed"), example.c.promoted.is_not(None)),
        ("example", ("places", "snippets"), example.c.places.is_not(None)),
    ):
        found = sa.select(*(example.c[part] for part in (*VERSION, *columns)))
        found = found if some is None else found.where(some)
        dropped = ("example",) if name == "example" else ()
        _replace(name, [_blob(column) for column in columns], found, dropped=dropped)


def _named(name: str, columns: Iterable[str]) -> sa.TableClause:
    return sa.table(name, *map(sa.column, columns))


def _replace(
    name: str,
    columns: list[sa.Column[Any]],
    found: sa.Select[Any],
    *constraints: Any,
    dropped: Iterable[str] = (),
) -> None:
    """Make a table of a row a version from what is found in those that are dropped then.

    By way of a table without constraints: while both stand, their names would be the same.
    """
    connection = op.get_bind()
    plain = (sa.Column(one.name, one.type) for one in (*_version_columns(), *columns))
    staged = op.create_table(f"{name}_0007", *plain)
    names = [column.name for column in staged.columns]
    connection.execute(staged.insert().from_select(names, found))
    for one in dropped:
        op.drop_table(one)
    new = op.create_table(
        name,
        *_version_columns(),
        *columns,
        *constraints,
        *_version_constraints(name, VERSION),
        sqlite_with_rowid=False,
    )
    in_order = sa.select(staged).order_by(*(staged.c[part] for part in VERSION))
    connection.execute(new.insert().from_select(names, in_order))
    op.drop_table(staged.name)


def _version_columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("run_key", sa.Integer(), nullable=False),
        sa.Column("side", sa.String(length=5), nullable=False),
        sa.Column("layer", sa.SmallInteger(), nullable=False),
        sa.Column("neuron", sa.Integer(), nullable=False),
    ]


def _version_constraints(name: str, key: Iterable[str]) -> list[Any]:
    return [
        sa.ForeignKeyConstraint(
            VERSION,
            [f"neuron.{part}" for part in VERSION],
            name=op.f(f"fk_{name}_run_key_side_layer_neuron"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(*key, name=op.f(f"pk_{name}")),
    ]


def _by_version(rows: list[Row]) -> Iterator[tuple[Row, list[Row]]]:
    """Rows of each version, with its place."""
    for place, some in groupby(rows, lambda row: tuple(row[part] for part in VERSION)):
        yield dict(zip(VERSION, place, strict=True)), list(some)


def _histograms_together(rows: list[Row]) -> list[Row]:
    return [
        place
        | {"counts": packing.pack_histograms({r["site"]: _old_counts(r["counts"]) for r in some})}
        for place, some in _by_version(rows)
    ]


def _histograms_apart(rows: list[Row]) -> list[Row]:
    return [
        place | {"site": site, "counts": _as_old_counts(counts)}
        for place, (row,) in _by_version(rows)
        for site, counts in packing.unpack_histograms(row["counts"]).items()
    ]


def _old_counts(packed: bytes) -> Any:
    planes = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(8, -1)
    return np.ascontiguousarray(planes.T).view("<i8").ravel()


def _as_old_counts(counts: Any) -> bytes:
    planes = np.ascontiguousarray(counts, dtype="<i8").view(np.uint8)
    return zlib.compress(planes.reshape(-1, 8).T.tobytes())


_PARTNER = ("kind", "rank", "partner_layer", "partner_neuron", "correlation")


def _partners_together(rows: list[Row]) -> list[Row]:
    places, partners = [], []
    for place, some in _by_version(rows):
        places.append(place)
        partners.append(
            [(KINDS.index(r["kind"]), *(r[name] for name in _PARTNER[1:])) for r in some]
        )
    return [
        place | {"partners": packed}
        for place, packed in zip(places, packing.pack_partners(partners), strict=True)
    ]


def _partners_apart(rows: list[Row]) -> list[Row]:
    return [
        place | dict(zip(_PARTNER, (KINDS[kind], *rest), strict=True))
        for place, (row,) in _by_version(rows)
        for kind, *rest in packing.unpack_partners(row["partners"])
    ]


def _examples_together(rows: list[Row]) -> list[Row]:
    made = []
    for place, some in _by_version(rows):
        columns = of_records([_old_example(row) for row in some])
        (places,), (snippets,) = pack_places([columns]), pack_values([columns])
        made.append(place | {"places": places, "snippets": snippets})
    return made


def _old_example(row: Row) -> ExampleRecord:
    same, match = row["same_index_values"], row["match_values"]
    return ExampleRecord(
        side=row["side"],
        layer=row["layer"],
        neuron=row["neuron"],
        band=BANDS[row["band"]],
        rank=row["rank"],
        document=row["document"],
        window=row["window"],
        position=row["position"],
        activation=row["activation"],
        start=row["start"],
        values=packing.unpack_values(row["own_values"]),
        same_index=None
        if same is None
        else OtherValues(row["neuron"], packing.unpack_values(same), row["same_index_quantile"]),
        match=None
        if match is None
        else OtherValues(row["match_neuron"], packing.unpack_values(match), row["match_quantile"]),
    )


def _examples_apart(rows: list[Row]) -> list[Row]:
    made = []
    for place, (row,) in _by_version(rows):
        version = row["side"], row["layer"], row["neuron"]
        places = unpack_places(row["places"])

        def scales_at(side: Any, row: Row = row, places: Any = places) -> ScaleCodes:
            windows = zip(places["document"].tolist(), places["window"].tolist(), strict=True)
            packed = [_scales(row["run_key"], *window) for window in windows]
            spans = zip(packed, places.start.tolist(), places["length"].tolist(), strict=True)
            return Snippets(list(spans)).codes(side, row["layer"])

        for one in unpack(*version, places, row["snippets"], scales_at):
            same, match = one.same_index, one.match
            made.append(
                place
                | {
                    "band": BANDS.index(one.band),
                    "rank": one.rank,
                    "document": one.document,
                    "window": one.window,
                    "position": one.position,
                    "start": one.start,
                    "activation": one.activation,
                    "own_values": packing.pack_values(one.values),
                    "same_index_quantile": same and same.quantile,
                    "same_index_values": same and packing.pack_values(same.values),
                    "match_neuron": match and match.neuron,
                    "match_quantile": match and match.quantile,
                    "match_values": match and packing.pack_values(match.values),
                }
            )
    return made


_WINDOW = ("run_key", "document", "window")


def _scales(*place: int) -> bytes | None:
    window = sa.table("window", *(sa.column(name) for name in (*_WINDOW, "scales")))
    here = (window.c[name] == value for name, value in zip(_WINDOW, place, strict=True))
    found: bytes | None = op.get_bind().scalar(sa.select(window.c.scales).where(*here))
    return found


def _rewrite_windows(read: Callable[[bytes, int], Any], write: Callable[[Any, int], bytes]) -> None:
    """Write the tokens of each window anew, a document at a time."""
    connection = op.get_bind()
    window = sa.table("window", *map(sa.column, (*_WINDOW, "tokens")))
    run = sa.table("run", *map(sa.column, ("key", "vocabulary_id")))
    vocabulary = sa.table("vocabulary", *map(sa.column, ("id", "size")))
    sized = sa.select(run.c.key, vocabulary.c.size).join(
        vocabulary, vocabulary.c.id == run.c.vocabulary_id
    )
    change = (
        window.update()
        .where(*(window.c[name] == sa.bindparam(f"its_{name}") for name in _WINDOW))
        .values(tokens=sa.bindparam("written", type_=sa.LargeBinary()))
    )
    for run_key, size in connection.execute(sized).all():
        of_run = window.c.run_key == run_key
        documents = sa.select(window.c.document).where(of_run).distinct()
        for document in connection.scalars(documents).all():
            here = window.select().where(of_run, window.c.document == document)
            changes = [
                {
                    "its_run_key": run_key,
                    "its_document": document,
                    "its_window": one.window,
                    "written": write(read(one.tokens, size), size),
                }
                for one in connection.execute(here).all()
            ]
            connection.execute(change, changes)


def _old_tokens(packed: bytes, n_tokens: int) -> Any:
    return np.frombuffer(packed, packing.token_dtype(n_tokens)).astype(np.int32)


def _as_old_tokens(tokens: Any, n_tokens: int) -> bytes:
    return np.asarray(tokens).astype(packing.token_dtype(n_tokens)).tobytes()


Spreads = dict[tuple[int, str, int], Any]


def _firing() -> sa.TableClause:
    return sa.table(
        "token_neuron", *map(sa.column, ("run_key", "token", "side", "layer", "neurons"))
    )


def _spread() -> sa.TableClause:
    return sa.table("token_spread", *map(sa.column, ("run_key", "side", "layer", "spread")))


def _made_spreads() -> Spreads:
    """The spread of each layer that the index has, as its rows say it; written to its table."""
    connection, row, made = op.get_bind(), _firing(), {}
    neuron = sa.table("neuron", *map(sa.column, VERSION))
    of_layer = sa.select(row.c.run_key, row.c.side, row.c.layer).distinct()
    for place in connection.execute(of_layer).all():
        here = zip(("run_key", "side", "layer"), place, strict=True)
        conditions = list(here)
        last = sa.select(sa.func.max(neuron.c.neuron)).where(
            *(neuron.c[name] == value for name, value in conditions)
        )
        rows = sa.select(row.c.neurons).where(*(row.c[name] == value for name, value in conditions))
        read = [_old_firing(packed) for packed in connection.scalars(rows).all()]
        entries = (
            entry
            for neurons, mean, mean_sd, most, most_sd in read
            for entry in ((neurons, mean, mean_sd), (neurons, most, most_sd))
        )
        n = 1 + max(connection.scalar(last) or 0, *(int(one[0].max(initial=0)) for one in read))
        found = spread_of(place.side, place.layer, n, entries)
        made[tuple(place)] = np.stack([found.mean, found.std])
        packed = pack_spread(found.mean, found.std)
        values = dict(zip(("run_key", "side", "layer", "spread"), (*place, packed), strict=True))
        connection.execute(_spread().insert(), values)
    return made


def _spreads() -> Spreads:
    found = op.get_bind().execute(_spread().select()).all()
    return {tuple(row[:3]): unpack_spread(row.spread) for row in found}


def _rewrite_firing(
    spreads: Spreads, read: Callable[[bytes, Any], Any], write: Callable[[Any, Any], bytes]
) -> None:
    """Write each row of `token_neuron` anew, a token at a time."""
    connection, row = op.get_bind(), _firing()
    change = (
        row.update()
        .where(
            row.c.run_key == sa.bindparam("its_run"),
            row.c.token == sa.bindparam("its_token"),
            row.c.side == sa.bindparam("its_side"),
            row.c.layer == sa.bindparam("its_layer"),
        )
        .values(neurons=sa.bindparam("written", type_=sa.LargeBinary()))
    )
    each = sa.select(row.c.run_key, row.c.token).distinct()
    for run_key, token in connection.execute(each).all():
        here = row.select().where(row.c.run_key == run_key, row.c.token == token)
        changes = []
        for one in connection.execute(here).all():
            spread = spreads.get((one.run_key, one.side, one.layer))
            written = write(read(one.neurons, spread), spread)
            place = {"its_run": one.run_key, "its_token": one.token}
            place |= {"its_side": one.side, "its_layer": one.layer}
            changes.append({**place, "written": written})
        connection.execute(change, changes)


def _old_firing(packed: bytes) -> tuple[Any, ...]:
    id_dtype = np.dtype(f"<u{packed[0]}")
    length = (len(packed) - 1) // (id_dtype.itemsize + 14)
    at, found = 1, []
    for dtype in (id_dtype, "<f4", "<f4", "<f2", "<f4"):
        found.append(np.frombuffer(packed, dtype, length, at))
        at += length * np.dtype(dtype).itemsize
    return tuple(found)


def _as_old_firing(neurons: Any, *values: Any) -> bytes:
    id_dtype = "<u2" if neurons.max(initial=0) < 1 << 16 else "<u4"
    columns = [neurons.astype(id_dtype)]
    for dtype, column in zip(("<f4", "<f4", "<f2", "<f4"), values, strict=True):
        columns.append(np.asarray(column, dtype))
    width = np.dtype(id_dtype).itemsize
    return bytes([width]) + b"".join(column.tobytes() for column in columns)


def _rewrite_arrays(
    table: str, column: str, read: Callable[[bytes], Any], write: Callable[[Any], bytes]
) -> None:
    """Write a packed array of each version anew, a layer at a time."""
    connection = op.get_bind()
    named = _named(table, (*VERSION, column))
    change = (
        named.update()
        .where(*(named.c[part] == sa.bindparam(f"its_{part}") for part in VERSION))
        .values({column: sa.bindparam("written", type_=sa.LargeBinary())})
    )
    layers = sa.select(*(named.c[part] for part in VERSION[:3])).distinct()
    for place in connection.execute(layers).all():
        here = (named.c[part] == value for part, value in zip(VERSION[:3], place, strict=True))
        changes = [
            {
                **{f"its_{part}": value for part, value in zip(VERSION, row[:4], strict=True)},
                "written": write(read(row[4])),
            }
            for row in connection.execute(named.select().where(*here)).all()
        ]
        connection.execute(change, changes)


def _old_mass(packed: bytes) -> Any:
    largest = np.frombuffer(packed[:8], "<f8")[0]
    planes = np.frombuffer(zlib.decompress(packed[8:]), np.uint8).reshape(2, -1)
    return np.ascontiguousarray(planes.T).view("<f2").ravel().astype(np.float64) * largest


def _as_old_mass(mass: Any) -> bytes:
    largest = float(mass.max(initial=0.0))
    shares = (mass.astype(np.float64) / largest if largest > 0 else mass).astype("<f2")
    planes = shares.view(np.uint8).reshape(-1, 2).T.tobytes()
    return np.array([largest], "<f8").tobytes() + zlib.compress(planes)


#: Columns of `counterexample` that stand in both, and those of a mined one.
_CHANGED = ("tokens", "changed", "original", "original_activation")
_FOUND = (
    *("rank", "document", "window", "position", "start", "activation", "own_values"),
    *("distance", "rule"),
)


def _counterexamples_together() -> None:
    """Mined counterexamples as a row a version; those by substitution stay in their table."""
    connection = op.get_bind()
    mined = op.create_table(
        "mined_counterexample",
        *_version_columns(),
        _blob("mined"),
        *_version_constraints("mined_counterexample", VERSION),
        sqlite_with_rowid=False,
    )
    old = _named("counterexample", (*VERSION, "kind", *_FOUND))
    is_mined = old.c.kind != "substitution"
    layers = sa.select(*(old.c[part] for part in VERSION[:3])).where(is_mined).distinct()
    for place in connection.execute(layers.order_by(*list(old.c)[:3])).all():
        here = (old.c[part] == value for part, value in zip(VERSION[:3], place, strict=True))
        rows = connection.execute(
            old.select().where(*here, is_mined).order_by(old.c.neuron)
        ).mappings()
        made = [
            version | {"mined": mined_packing.pack([_old_mined(row) for row in some])}
            for version, some in _by_version([dict(row) for row in rows])
        ]
        connection.execute(mined.insert(), made)
    _remake_counterexamples(
        _named("counterexample", (*VERSION, *_FOUND, *_CHANGED))
        .select()
        .where(sa.column("kind") == "substitution"),
        with_kind=False,
    )


def _counterexamples_apart() -> None:
    """The other way round."""
    connection = op.get_bind()
    names = (*VERSION, *_FOUND, *_CHANGED)
    old = _named("counterexample", names)
    kind = sa.literal("substitution").label("kind")
    _remake_counterexamples(sa.select(*list(old.c)[:4], kind, *list(old.c)[4:]), with_kind=True)
    new = _named("counterexample", (*names, "kind"))
    mined = _named("mined_counterexample", (*VERSION, "mined"))
    layers = sa.select(*(mined.c[part] for part in VERSION[:3])).distinct()
    for place in connection.execute(layers).all():
        here = (mined.c[part] == value for part, value in zip(VERSION[:3], place, strict=True))
        for row in connection.execute(mined.select().where(*here)).all():
            version = dict(zip(VERSION, row[:4], strict=True))
            found = mined_packing.unpack(*row[1:4], row.mined)
            connection.execute(new.insert(), [version | _as_old_mined(one) for one in found])
    op.drop_table("mined_counterexample")


def _old_mined(row: Row) -> CounterexampleRecord:
    found = {name: row[name] for name in _FOUND if name != "own_values"}
    version = {part: row[part] for part in VERSION[1:]}
    values = packing.unpack_values(row["own_values"])
    return CounterexampleRecord(**version, **found, kind=row["kind"], values=values)


def _as_old_mined(one: CounterexampleRecord) -> Row:
    found = {name: getattr(one, name) for name in _FOUND if name != "own_values"}
    return found | {"kind": one.kind, "own_values": packing.pack_values(one.values)}


def _remake_counterexamples(found: sa.Select[Any], *, with_kind: bool) -> None:
    """Make `counterexample` anew, with its column `kind` or without, from what is found in it."""
    connection, name = op.get_bind(), "counterexample"
    of_substitution = with_kind  # whether columns of substitutions alone may be NULL
    kind = [sa.Column("kind", sa.String(length=12), nullable=False)] if with_kind else []
    columns = [
        *_version_columns(),
        *kind,
        sa.Column("rank", sa.SmallInteger(), nullable=False),
        sa.Column("document", sa.Integer(), nullable=False),
        sa.Column("window", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("start", sa.Integer(), nullable=False),
        sa.Column("activation", sa.Double(), nullable=False),
        _blob("own_values"),
        sa.Column("distance", sa.Double(), nullable=True),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("tokens", sa.LargeBinary(), nullable=of_substitution),
        sa.Column("changed", sa.Integer(), nullable=of_substitution),
        sa.Column("original", sa.Integer(), nullable=of_substitution),
        sa.Column("original_activation", sa.Double(), nullable=True),
    ]
    checks = [
        sa.CheckConstraint(
            "(kind = 'substitution') = (tokens IS NOT NULL AND changed IS NOT NULL "
            "AND original IS NOT NULL)",
            name=op.f("ck_counterexample_substitution_whole"),
        ),
        sa.CheckConstraint(
            "kind IN ('unlike', 'silent', 'substitution')", name=op.f("ck_counterexample_kind")
        ),
    ]
    staged = op.create_table(f"{name}_0007", *(sa.Column(c.name, c.type) for c in columns))
    names = [column.name for column in columns]
    connection.execute(staged.insert().from_select(names, found))
    op.drop_index(op.f("ix_counterexample_run_key_document_window"), table_name=name)
    op.drop_table(name)
    new = op.create_table(
        name,
        *columns,
        *(checks if with_kind else ()),
        sa.CheckConstraint("start BETWEEN 0 AND position", name=op.f("ck_counterexample_start")),
        sa.ForeignKeyConstraint(
            ["run_key", "document", "window"],
            ["window.run_key", "window.document", "window.window"],
            name=op.f("fk_counterexample_run_key_document_window"),
        ),
        *_version_constraints(name, (*VERSION, *(one.name for one in kind), "rank")),
    )
    connection.execute(new.insert().from_select(names, staged.select()))
    op.drop_table(staged.name)
    op.create_index(
        op.f("ix_counterexample_run_key_document_window"), name, ["run_key", "document", "window"]
    )
