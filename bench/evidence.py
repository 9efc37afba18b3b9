"""Everything that the evidence is validated by, one after the other, on a real pair.

    python -m bench.evidence --work DIR            # about half an hour on two cores
    python -m bench.evidence --only effects cost

| part | what it says |
|---|---|
| `effects` | the estimate against exact ablation, its variants, two seeds, additivity |
| `cost` | each measurement as a multiple of a bare forward pass |
| `meanings` | merged neurons, mid-band meanings, senses, candidates |
| `planted` | a direction planted at three strengths: layer panel and candidate finder |

docs/evidence.md quotes what these printed. Each part is a module of its own with more options.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

PARTS = ("effects", "cost", "meanings", "planted")


def commands(pair: str, work: Path) -> dict[str, list[list[str]]]:
    """Module and arguments of each part's processes."""
    return {
        "effects": [["bench.evidence_effects", "--pair", pair, "--skip", "cost"]],
        "cost": [["bench.evidence_effects", "--pair", pair, "--skip", "estimate"]],
        "meanings": [["bench.evidence_meanings", pair, "--work", str(work)]],
        "planted": [["bench.evidence_planting", "--pair", pair]],
    }


def main() -> int:
    """Run the parts; the number of those that failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--pair", default="pystd-2l")
    parser.add_argument("--work", type=Path, required=True, help="where the run's sample is kept")
    parser.add_argument("--only", nargs="*", default=PARTS, choices=PARTS)
    given = parser.parse_args()
    failed = 0
    for part in given.only:
        for command in commands(given.pair, given.work)[part]:
            print(f"\n=== {part}: python -m {' '.join(command)}", flush=True)
            failed += subprocess.run([sys.executable, "-m", *command], check=False).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
