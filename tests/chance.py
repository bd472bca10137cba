# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Random tests that can be run again."""

import os
import random


def seed_of_chance() -> int:
    """A seed that is printed; VLO_TEST_SEED takes its place."""
    seed = int(os.environ.get('VLO_TEST_SEED') or random.SystemRandom().randrange(10**6))
    print(f'VLO_TEST_SEED={seed}')
    return seed


def source_of_chance() -> random.Random:
    """Draws from a seed that is printed; VLO_TEST_SEED makes the same run again."""
    return random.Random(seed_of_chance())
