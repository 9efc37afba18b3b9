"""Training a matched pair: the same starting weights, the same batches, another activation.

    run(TrainSettings(...), Path("pairs/mine"), tokenizer=None, resume=False)

`settings` says what is trained, `data` lays the tokens out on disk, `loop` trains one version,
`run` trains them all, `losses` measures them on held-out text and `pair_writer` writes the pair.
"""

from worker.train.run import run
from worker.train.settings import TrainSettings

__all__ = ["TrainSettings", "run"]
