"""`python -m worker.train.export_checkpoint WORK_DIR OUT_DIR`: a pair from a run's checkpoints.

WORK_DIR is a run's `.train` directory, of a run that goes on or has ended.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

from worker.train.pair_writer import write_pair
from worker.train.settings import WorkFiles


def main() -> None:
    work, out = (Path(argument) for argument in sys.argv[1:])
    torch.set_num_threads(1)
    training = write_pair(WorkFiles(work), out, torch.device("cpu"))
    print(json.dumps(training["losses"], indent=1))


if __name__ == "__main__":
    main()
