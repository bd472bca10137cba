# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How many processor threads the encoder and the decoder take when both work at once.

PyTorch gives every calling thread a pool of its own, as large as all cores: two lanes would then
run twice as many threads as there are cores, and wait for each other (docs/engine.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class ThreadShares:
    """Threads of each lane.

    Attributes:
        encode: For vision tower and connector.
        decode: For the language model.
    """

    encode: int
    decode: int


def share_threads(num_threads: int = 0) -> ThreadShares:
    """Share threads out in halves, the odd one to the decoder; each lane has one at least.

    Args:
        num_threads: `model.threads`; 0 shares out what PyTorch would take here alone, which is
            the number of cores or OMP_NUM_THREADS.
    """
    total = num_threads or torch.get_num_threads()
    encode = max(1, total // 2)
    return ThreadShares(encode, max(1, total - encode))


def use_threads(count: int) -> None:
    """Let the calling thread compute with `count` threads from now on.

    Threads that have computed before keep theirs; those that have not begin with `count`.
    """
    if torch.get_num_threads() != count:
        torch.set_num_threads(count)
