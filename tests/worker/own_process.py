"""A function in a process of its own, which may be killed."""

from __future__ import annotations

import multiprocessing
from typing import Any


def in_a_process(target: Any, *arguments: Any) -> int:
    """The exit code of `target(*arguments)` in a process that has torch already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.worker.tiny_run"])
    process = context.Process(target=target, args=arguments)
    process.start()
    process.join(600)
    code = process.exitcode
    if code is None:
        process.kill()
        process.join()
    process.close()
    assert code is not None, "the process did not end"
    return code
