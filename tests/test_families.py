# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A whole stream with every family, tower and variant: train equals live there too."""

import random

import numpy as np
import pytest

from tests.live import Model, play, random_scenario, rendered_ids, turns_of
from tests.tiny_models import FAMILIES, make_model_folders
from vlo_ros.checkpoint import load_model
from vlo_ros.config import ModelConfig
from vlo_ros.events import Decision, Frame


@pytest.mark.parametrize('variant', ['live1+', 'live1'])
@pytest.mark.parametrize('family', FAMILIES)
def test_every_family_streams_as_it_would_be_trained(family, variant, tmp_path):
    seed = len(family)
    print('seed', seed)
    tower = 'clip' if variant == 'live1' else 'siglip'
    vlo = load_model(ModelConfig(**make_model_folders(tmp_path, family, tower), variant=variant))
    images = np.random.default_rng(seed).integers(256, size=(6, 24, 40, 3), dtype=np.uint8)
    encoded = vlo.encode([Frame(n, n, image) for n, image in enumerate(images)])
    bank = [frame.tokens_FD for frame in encoded]
    model = Model(family, vlo, bank)
    scenario = random_scenario(
        seed,
        model,
        10,
        silence_threshold=0.0,
        max_new_tokens=4,
        chunk='auto',
        system_prompt='Look.',
    )
    outcomes, recorder, _ = play(model, scenario, at_once=random.Random(seed))
    template = vlo.template
    wanted = rendered_ids(outcomes, turns_of(outcomes, scenario.config, template), template)
    assert recorder.history == wanted[: len(recorder.history)]
    assert sum(isinstance(outcome, Decision) for outcome in outcomes) == 10
