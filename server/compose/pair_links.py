"""Links between the pages of a pair, and whether its run has evidence."""

from __future__ import annotations

from typing import Literal

from server import urls
from server.activation_names import activation_name
from server.number_text import count
from server.pages.fields import Link
from server.pages.pair_links import PairLinks, StageView
from server.site import Site
from store import evidence
from store.records import RunRecord

Page = Literal["explorer", "tax", "live", "invisible"]


def pair_links(
    run: RunRecord, pinned: bool, page: Page | None = None, layer: int | None = None
) -> PairLinks:
    """The pages of the run's pair; `page` (and `layer`) is where the reader is now."""
    slug, run_id = run.pair.slug, run.id if pinned else None
    return PairLinks(
        explorer=Link(
            urls.explorer(slug, run=run_id), "neurons", "every version", page == "explorer"
        ),
        tax=Link(urls.tax(slug, run_id), "tax", "losses, and what layers hide", page == "tax"),
        live=Link(
            urls.live(slug, run=run_id),
            "your own text",
            "any text through the models",
            page == "live",
        ),
        invisible=tuple(
            Link(
                urls.invisible(slug, index, run_id),
                str(index),
                f"candidate invisible features of layer {index}",
                page == "invisible" and layer == index,
            )
            for index in range(run.pair.left.n_layers)
        ),
        run=urls.run(run.id),
    )


def stage_view(site: Site, run: RunRecord) -> StageView:
    """Whether the evidence stage is published, and how to have it computed."""
    stage = evidence.stage(site.engine, run.id, "evidence")
    command = f"twinscope evidence {run.id}"
    if stage is None:
        return StageView(False, "", command)
    tokens = stage.provenance.get("evidence_tokens") or stage.parameters.get("tokens")
    of_tokens = f" of {count(tokens)} tokens" if isinstance(tokens, int) else ""
    when = f"{stage.published_at.day} {stage.published_at:%b %Y}"
    return StageView(True, f"Evidence{of_tokens}, {when}.", command)


def version_names(run: RunRecord) -> dict[str, str]:
    """side → its activation function as people write it; told apart where both are the same."""
    left = activation_name(run.pair.left.act_fn)
    names = {"left": left}
    if run.pair.right is not None:
        right = activation_name(run.pair.right.act_fn)
        names = {"left": left, "right": right}
        if left == right:
            names = {"left": f"{left} (left)", "right": f"{right} (right)"}
    return names
