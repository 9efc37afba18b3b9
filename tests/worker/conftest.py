"""One torch thread: tests run beside each other, and two threads collapse when a core is busy."""

import torch

torch.set_num_threads(1)
