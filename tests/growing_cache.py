# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Feeds a stream until its window has filled and been evicted; prints the memory on the way.

    python -m tests.growing_cache float32 bfloat16

A process of its own, with two threads: what a library keeps for ever is seen nowhere else.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

from tests.random_streams import tiny_model
from vlo_ros.config import StreamConfig
from vlo_ros.events import FrameTokens
from vlo_ros.stream import Stream

WINDOW = 400
# Frames are one token each, so the cache takes every length there is.
SETTLED, FULL, END = 60, 300, 460


def main() -> None:
    """Print resident MB at the marks and the evictions, for each number format."""
    torch.set_num_threads(2)
    print(json.dumps({name: _grow(getattr(torch, name)) for name in sys.argv[1:]}))


def _grow(dtype: torch.dtype) -> dict[str, float]:
    tiny = tiny_model('live1', dtype=dtype)
    config = StreamConfig(window_tokens=WINDOW, chunk='1', silence_threshold=0.0, max_new_tokens=1)
    stream = Stream(tiny.vlo, config)
    for tensor in (stream.decoder.cache.keys_LGCE, stream.decoder.cache.values_LGCE):
        tensor.fill_(0)  # allocated is not yet resident
    tokens_FD = 20 * tiny.silence_D[None]
    found: dict[str, float] = {}
    for index in range(END):
        stream.put_frame(FrameTokens(index, index, tokens_FD))
        outcomes = list(stream.advance())
        assert len(outcomes) == 1, 'the stream is meant to be silent'
        if index == SETTLED:
            found['settled_mb'] = _resident_bytes() / 1e6
        elif index == FULL:
            found['full_mb'] = _resident_bytes() / 1e6
    return {**found, 'end_mb': _resident_bytes() / 1e6, 'evictions': stream.num_evictions}


def _resident_bytes() -> int:
    return int(Path('/proc/self/statm').read_text().split()[1]) * 4096


if __name__ == '__main__':
    main()
