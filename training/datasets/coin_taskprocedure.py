# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""COIN procedure when the task is told: which steps, five at most, follow?"""

from __future__ import annotations

from training.datasets.coin import procedure_samples
from training.datasets.sample import BuildOptions, Sample


def build(options: BuildOptions) -> list[Sample]:
    """Return one sample for each step but the last of a video."""
    return procedure_samples(options, name_task=True)
