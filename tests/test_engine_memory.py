# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The process stays as large as it is while a cache grows, fills and is evicted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
# A kernel kept for every length of the cache took 100 MB here.
ALLOWED_MB = 12


def test_memory_is_flat_over_a_growing_then_evicting_cache() -> None:
    ended = subprocess.run(
        [sys.executable, '-m', 'tests.growing_cache', 'float32', 'bfloat16'],
        cwd=ROOT, capture_output=True, text=True, timeout=280, check=False,
        # Idle threads that spin would take the processor from those at work.
        env={**os.environ, 'OMP_WAIT_POLICY': 'passive'},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    for name, memory in found.items():
        assert memory['evictions'] >= 2, found
        assert memory['end_mb'] - memory['settled_mb'] < ALLOWED_MB, (name, found)
