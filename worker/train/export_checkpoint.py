"""A pair from the checkpoints of a run that goes on or was left.

    python -m worker.train.export_checkpoint WORK_DIR OUT_DIR [HELD_OUT_TOKENS]

WORK_DIR is the run's `.train` directory; the losses are measured on HELD_OUT_TOKENS, or on all.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

from worker.train.pair_writer import write_pair
from worker.train.settings import WorkFiles


def main() -> None:
    work, out = (Path(argument) for argument in sys.argv[1:3])
    tokens = int(sys.argv[3]) if len(sys.argv) > 3 else None
    torch.set_num_threads(1)
    training = write_pair(WorkFiles(work), out, torch.device("cpu"), tokens)
    print(json.dumps(training["losses"], indent=1))


if __name__ == "__main__":
    main()
