"""All tables, for what works on the whole schema: migrations, checks, removal."""

from __future__ import annotations

from store import (
    tables,
    tables_access,
    tables_evidence,
    tables_studies,
    tables_tokens,
    tables_verification,
)

assert tables_evidence.neuron_evidence.metadata is tables.metadata
assert tables_access.account.metadata is tables.metadata
assert tables_studies.study.metadata is tables.metadata
assert tables_tokens.token_neuron.metadata is tables.metadata
assert tables_verification.verification.metadata is tables.metadata

metadata = tables.metadata
