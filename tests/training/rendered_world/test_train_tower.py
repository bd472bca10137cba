# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The tower trains, can be stopped, goes on, and is read as an ordinary transformers folder."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import SiglipVisionModel

from training.rendered_world.frame_pool import FramePool, PoolSettings, render_world
from training.rendered_world.tower import TowerShape, TowerWithHeads, accuracies, normalise
from training.rendered_world.train_tower import TowerTraining, rate_at, train

RECIPE = Path(__file__).parents[3] / 'config' / 'training' / 'rendered_world_tower.yaml'
SHAPE = TowerShape(48, 16, 32, 1, 1)


@pytest.fixture
def config(tmp_path):
    return TowerTraining(
        str(tmp_path / 'tower'),
        shape=SHAPE,
        num_steps=6,
        batch_size=8,
        pool_capacity=160,
        warmup_steps=2,
        evaluate_every=3,
        evaluation_worlds=2,
        renderers=1,
    )


def test_trains_and_is_read_by_transformers(config):
    train(config)
    model = SiglipVisionModel.from_pretrained(Path(config.output_dir) / 'tower')
    assert model.config.hidden_size == 32 and model.config.image_size == 48
    lines = [
        json.loads(x) for x in (Path(config.output_dir) / 'log.jsonl').read_text().splitlines()
    ]
    assert [line['step'] for line in lines] == [3, 6]
    assert 0 <= lines[-1]['pairs']['left_type'] <= 1


def test_goes_on_where_it_stopped(config):
    train(config)
    state = torch.load(Path(config.output_dir) / 'checkpoint.pt', weights_only=True)
    assert state['step'] == 6
    longer = replace(config, num_steps=9)
    train(longer)
    after = torch.load(Path(config.output_dir) / 'checkpoint.pt', weights_only=True)
    assert after['step'] == 9 and after['worlds'] > state['worlds']
    assert after['spent'] > state['spent']


def test_a_misspelt_setting_is_named(tmp_path):
    (tmp_path / 'a.yaml').write_text('output_dir: x\nnum_stepz: 3\n')
    with pytest.raises(ValueError, match='unknown num_stepz'):
        TowerTraining.load(tmp_path / 'a.yaml')


def test_the_shipped_recipe_loads():
    assert TowerTraining.load(RECIPE).shape.grid == 6


def test_the_learning_rate_rises_stays_and_falls(config):
    config = replace(config, num_steps=100, warmup_steps=10, decay_share=0.5)
    rates = [rate_at(step, config) for step in range(100)]
    assert rates[0] == pytest.approx(0.1) and rates[10:50] == [1.0] * 40
    assert rates[-1] == pytest.approx(0.02) and all(np.diff(rates[50:]) < 0)


def test_the_heads_read_the_ten_pooled_tokens():
    """Logits exist for CLS, the 3 x 3 pool and the patches; accuracies for the first two."""
    torch.manual_seed(0)
    model = TowerWithHeads(TowerShape(96, 16, 32, 1, 1)).eval()
    pixels = normalise(torch.randint(0, 255, (2, 96, 96, 3), dtype=torch.uint8), torch.float32)
    whole, pooled, patches = model(pixels)
    assert pooled.shape[:2] == (2, 9) and patches.shape[:2] == (2, 36) and whole.shape[0] == 2
    batch = render_world(0, 'new', 4, 96, 6, False)
    scores = accuracies(model, batch, torch.float32)
    assert {'left_type', 'target_colour', 'pooled_type|there'} <= set(scores)


def test_pool_shows_only_finished_pictures_and_keeps_rendering():
    pool = FramePool(PoolSettings(64, 32, 2, 8, 0, 0.0, reuse=1.0), renderers=2)
    pool.start()
    try:
        pool.wait(32)
        batch = pool.draw(32, np.random.default_rng(0))
        assert batch.pictures.shape == (32, 32, 32, 3)
        assert (batch.pictures.reshape(32, -1).std(1) > 0).all()
        assert (batch.whole[:, 4] < 8).all()
    finally:
        pool.close()


def test_pool_counts_worlds_from_its_first_seed():
    pool = FramePool(PoolSettings(16, 32, 2, 8, 123, 0.0, reuse=1.0), renderers=1)
    pool.start()
    try:
        pool.wait(8)
        batch = pool.draw(64, np.random.default_rng(0))
        known = [
            picture
            for seed in range(123, 140)
            for picture in render_world(seed, 'train', 8, 32, 2, False).pictures
        ]
        for picture in batch.pictures:
            assert any(np.array_equal(picture, other) for other in known)
    finally:
        pool.close()
