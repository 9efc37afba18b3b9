"""A process that talks to a stand-in of the hub, because the libraries read `HF_ENDPOINT` when they
are imported. It is started once for many tests and does what it is told, a line at a time.

    with HubProcess(stand_in.url, cache) as process:
        answer = process.twinscope("fetch", "solu-1l--gelu-1l", data_dir=tmp_path)
        answer.code, answer.out, answer.err
        process.call("tests.worker.hub.checks", "differences", "NeelNanda/…", str(directory))
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Answer:
    """What a command came to."""

    code: int
    out: str
    err: str


class HubProcess:
    """The process. Its hub is at `url`; the libraries' cache is a directory of its own."""

    def __init__(self, url: str, cache: Path, **environment: str) -> None:
        own = {"HF_ENDPOINT": url, "HF_HOME": str(cache), "HF_HUB_DISABLE_TELEMETRY": "1"}
        own |= {"HF_TOKEN": "", "NO_PROXY": "127.0.0.1", "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.worker.hub.process"],
            cwd=ROOT,
            env={**os.environ, **own, **environment, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> HubProcess:
        return self

    def __exit__(self, *fault: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:  # of a busy machine
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def twinscope(self, *arguments: str, data_dir: Path, **environment: str) -> Answer:
        """One command of the command line, with its own data directory."""
        environment = {"TWINSCOPE_DATA_DIR": str(data_dir), **environment}
        return Answer(**self._ask({"twinscope": arguments, "environment": environment}))

    def call(self, module: str, function: str, *arguments: Any) -> Any:
        """A function's result, as JSON has it."""
        return self._ask({"call": [module, function], "arguments": arguments})

    def set(self, module: str, name: str, value: Any) -> None:
        """Give a module's variable a value."""
        self._ask({"set": [module, name], "value": value})

    def _ask(self, question: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the process ended"
        answer = json.loads(line)
        if "fault" in answer:
            raise AssertionError(answer["fault"])
        return answer["answer"]


def _answer(question: dict[str, Any]) -> Any:
    if "set" in question:
        module, name = question["set"]
        setattr(importlib.import_module(module), name, question["value"])
        return None
    if "call" in question:
        module, function = question["call"]
        return getattr(importlib.import_module(module), function)(*question["arguments"])
    from twinscope import app, faults

    os.environ.update(question["environment"])
    sys.argv = ["twinscope", *question["twinscope"]]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = faults.run(app.app)
        except SystemExit as ended:
            code = int(ended.code or 0)
    return {"code": code, "out": out.getvalue(), "err": err.getvalue()}


def main() -> None:
    """Answer until there are no more questions."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    for line in sys.stdin:
        try:
            answer = {"answer": _answer(json.loads(line))}
        except Exception as fault:
            answer = {"fault": f"{type(fault).__name__}: {fault}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
