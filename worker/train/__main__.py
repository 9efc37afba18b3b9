"""`python -m worker.train OUT_DIR --corpus CORPUS …`: a run without the command line's niceties."""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields
from pathlib import Path

from worker.errors import WorkerError
from worker.train.run import run
from worker.train.settings import TrainSettings

TUNED = ("n_layers", "d_model", "d_mlp", "n_ctx", "d_vocab", "tokens", "seed", "batch")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m worker.train")
    parser.add_argument("out", type=Path)
    parser.add_argument("--corpus", action="append", required=True)
    parser.add_argument("--tokenizer", type=Path)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--processes", type=int)
    parser.add_argument("--resume", action="store_true")
    for side in ("left", "right", "control"):
        parser.add_argument(f"--{side}", default=getattr(TrainSettings, side))
    for name in TUNED:
        parser.add_argument(f"--{name}", type=int, default=getattr(TrainSettings, name))
    for name in ("learning_rate", "weight_decay"):
        parser.add_argument(f"--{name}", type=float, default=getattr(TrainSettings, name))
    given = parser.parse_args()
    known = {field.name for field in fields(TrainSettings)} - {"corpora"}
    chosen = {name: value for name, value in vars(given).items() if name in known}
    chosen["control"] = None if given.control == "none" else given.control
    try:
        run(
            TrainSettings(corpora=tuple(given.corpus), **chosen),
            given.out,
            tokenizer=given.tokenizer,
            device=given.device,
            resume=given.resume,
            processes=given.processes,
        )
    except WorkerError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("Interrupted; go on with --resume.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
