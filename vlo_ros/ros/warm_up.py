# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Two frames and a word before the node says that it is ready: the first forward is slow."""

from __future__ import annotations

import dataclasses

import numpy as np

from vlo_ros.checkpoint import VloModel
from vlo_ros.config import StreamConfig
from vlo_ros.events import Frame, Query
from vlo_ros.stream import Stream


def warm_up(model: VloModel, config: StreamConfig) -> None:
    """Run the whole line once on a stream that is then thrown away.

    Raises:
        VloError: Model and settings do not fit together.
    """
    stream = Stream(model, dataclasses.replace(config, max_new_tokens=1))
    black_HWC = np.zeros((48, 64, 3), np.uint8)
    for tokens in model.encode([Frame(0, 0, black_HWC), Frame(1, 1, black_HWC)]):
        stream.put_frame(tokens)
    stream.put_query(Query(2, 'What do you see?'))
    for _ in stream.advance(flush=True):
        pass
