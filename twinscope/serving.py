"""The verbs that serve: the demo, the site, the live worker."""

from __future__ import annotations

import contextlib
import os
from typing import Annotated

import typer

from twinscope import computing
from twinscope.options import (
    DataDirOption,
    DeviceOption,
    EvidenceOption,
    LivePairOption,
    PortOption,
    upgrade_own_database,
    use_data_dir,
)

DEMO_PAIR, DEMO_CORPUS, DEMO_TOKENS = "pystd-2l", "stdlib", "1M"


def demo(
    port: PortOption = 8000,
    browser: Annotated[bool, typer.Option(help="Open a browser, on a desktop.")] = True,
    data_dir: DataDirOption = None,
    tokens: Annotated[str, typer.Option(help="Tokens of the corpus to read.")] = DEMO_TOKENS,
    with_evidence: EvidenceOption = True,
) -> None:
    """Precompute the shipped pair over Python's standard library, and serve the site."""
    from twinscope import demo as stage

    use_data_dir(data_dir)
    stage.interrupt_on_sigterm()
    stage.require_free_port(port)
    upgrade_own_database()
    with stage.site(port) as child:
        url = f"http://localhost:{port}/"
        print(f"Twinscope is at {url}  (Ctrl-C ends it)", flush=True)
        if browser:
            stage.open_browser(url)
        run_id = computing.publish_run(DEMO_PAIR, [DEMO_CORPUS], tokens=tokens, resume=True)
        print(f"The neurons are at {url}{DEMO_PAIR}  (Ctrl-C ends it)", flush=True)
        if with_evidence:
            computing.evidence(run_id, resume=True)
            computing.counterexamples(run_id)
            print(f"What the top activations hide is at {url}{DEMO_PAIR}/tax", flush=True)
        stage.serve_until_interrupted(child)


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to serve on; 0 takes any free one.")
    ] = 8000,
    with_worker: Annotated[
        bool, typer.Option("--with-worker", help="Start a live worker, too: texts of one's own.")
    ] = False,
    pair: LivePairOption = None,
    device: DeviceOption = "auto",
    data_dir: DataDirOption = None,
    processes: Annotated[
        int, typer.Option(min=1, max=64, help="Processes that answer; one a core is quickest.")
    ] = 1,
    shared: Annotated[int | None, typer.Option("--socket", hidden=True)] = None,
    leash: Annotated[bool, typer.Option(hidden=True)] = False,
) -> None:
    """Serve the site over what was precomputed."""
    use_data_dir(data_dir)
    from server.serve import serve as run_server
    from twinscope import live, several

    if shared is None:
        upgrade_own_database()
    with contextlib.ExitStack() as children:
        if with_worker:
            address = children.enter_context(live.child(device=device, pairs=pair or ()))
            os.environ["TWINSCOPE_WORKER_URL"] = address
        say = None if leash else lambda url: print(f"Twinscope is at {url}", flush=True)
        if processes > 1:
            several.serve(host, port, processes, leash=leash, on_ready=say)
        else:
            run_server(host, port, leash=leash, shared=shared, on_ready=say)


def worker(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes any free one.")
    ] = 8010,
    pair: LivePairOption = None,
    device: DeviceOption = "auto",
    data_dir: DataDirOption = None,
    inherited: Annotated[int | None, typer.Option("--socket", hidden=True)] = None,
    leash: Annotated[bool, typer.Option(hidden=True)] = False,
) -> None:
    """Run readers' own texts through the models, for the site."""
    use_data_dir(data_dir)
    from twinscope import live

    live.run(host, port, device=device, pairs=pair or (), inherited=inherited, leash=leash)
