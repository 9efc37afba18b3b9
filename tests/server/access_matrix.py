"""Who gets how far: the table behind test_access_matrix.py.

A route that changes nothing (GET) is READING unless it stands in RULES. Every other route must
stand there: add a line with the least role that may call it.
"""

from __future__ import annotations

#: Everybody, also where reading is not public.
OPEN = "open"
#: Everybody where reading is public, else whoever is logged in.
READING = "reading"
#: Whoever is logged in with this role or one above it.
READER, ANNOTATOR, OWNER = "reader", "annotator", "owner"

RULES: dict[tuple[str, str], str] = {
    ("GET", "/healthz"): OPEN,
    ("GET", "/static"): OPEN,
    ("GET", "/static/plotly.min.js"): OPEN,
    ("GET", "/login"): OPEN,
    ("GET", "/login.json"): OPEN,
    ("POST", "/login"): OPEN,
    ("POST", "/logout"): READER,
    ("GET", "/account"): READER,
    ("GET", "/account.json"): READER,
    ("POST", "/account"): READER,
    ("GET", "/studies/new"): OWNER,
    ("GET", "/studies/new.json"): OWNER,
    ("POST", "/studies"): OWNER,
    ("POST", "/studies/{slug}/start"): OWNER,
    ("POST", "/studies/{slug}/close"): OWNER,
    ("POST", "/studies/{slug}/discard"): OWNER,
    ("GET", "/studies/{slug}/rate"): ANNOTATOR,
    ("GET", "/studies/{slug}/rate.json"): ANNOTATOR,
    ("POST", "/studies/{slug}/rate"): ANNOTATOR,
    ("POST", "/studies/{slug}/begin"): ANNOTATOR,
    ("POST", "/studies/{slug}/pause"): ANNOTATOR,
    ("POST", "/studies/{slug}/resume"): ANNOTATOR,
    ("POST", "/{pair}/{layer:int}/{neuron:int}/labels"): ANNOTATOR,
    ("POST", "/{pair}/{layer:int}/invisible/{k:int}/labels"): ANNOTATOR,
}

#: What stands for the parts of an address; a route with another part names it here. There is no
#: such pair: whoever is let in gets 404 or 422 at once, and no page is made.
PARTS: dict[str, str] = {
    "pair": "no-such-pair",
    "layer": "0",
    "neuron": "1",
    "k": "0",
    "run_id": "nothing",
    "ending": "csv",
    "label_id": "999999",
    "slug": "no-such-study",
}


def rule_of(method: str, path: str) -> str | None:
    """The rule of a route; None for one that changes something and is not in the table."""
    found = RULES.get((method, path))
    return READING if found is None and method == "GET" else found
