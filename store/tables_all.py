"""All tables, for what works on the whole schema: migrations, checks, removal."""

from __future__ import annotations

from store import tables, tables_evidence

assert tables_evidence.neuron_evidence.metadata is tables.metadata

metadata = tables.metadata
