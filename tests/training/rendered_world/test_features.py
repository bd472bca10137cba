# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cached features belong to the frames that the conversations speak of."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from training.datasets.sample import teaches
from training.rendered_world import features
from training.rendered_world.tower import TowerShape, make_tower
from training.rendered_world.train_tower import TowerTraining
from vlo_ros.rendered_world import Episode

RECIPE = Path(__file__).parents[3] / 'config' / 'training' / 'rendered_world_tower.yaml'


@pytest.fixture(scope='module')
def tower_folder(tmp_path_factory):
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp('tower')
    make_tower(TowerShape(32, 16, 32, 1, 1)).save_pretrained(folder)
    return folder


def test_command_writes_shards_and_conversations(tower_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(features, 'SHARD_EPISODES', 3)
    command = f'features --tower {tower_folder} --output {tmp_path} --shards 2'
    monkeypatch.setattr('sys.argv', f'{command} --lengths 8 16 --odds 0.5 0.5'.split())
    features.main()
    samples = json.loads((tmp_path / 'train.json').read_text())
    practice = json.loads((tmp_path / 'train_practice.json').read_text())
    drilled = json.loads((tmp_path / 'train_drill.json').read_text())
    assert len(samples) == len(practice) == len(drilled) == 6
    assert [s['load_ranges'] for s in samples] == [s['load_ranges'] for s in practice]
    for one in practice:
        frames = sum(m.get('num_frames', 0) for m in one['conversation'])
        ((_, (first, end)),) = one['load_ranges'].items()
        assert end - first == frames
    for sample in samples:
        ((file, (first, end)),) = sample['load_ranges'].items()
        shard = torch.load(file)
        frames = sum(m.get('num_frames', 0) for m in sample['conversation'])
        assert shard.dtype == torch.bfloat16 and shard.shape[1:] == (10, 32)
        assert end - first == frames and end <= len(shard)
        assert teaches(sample['conversation'])


def test_a_second_start_encodes_only_what_is_missing(tower_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(features, 'SHARD_EPISODES', 2)
    command = f'features --tower {tower_folder} --output {tmp_path} --shards 2 --odds 1 --lengths'
    monkeypatch.setattr('sys.argv', f'{command} 8'.split())
    features.main()
    samples = (tmp_path / 'train.json').read_text()
    kept, lost = tmp_path / 'train_00000.pt', tmp_path / 'train_00001.pt'
    whole, written = torch.load(lost), kept.stat().st_mtime_ns
    lost.unlink()
    features.main()
    assert kept.stat().st_mtime_ns == written and torch.equal(torch.load(lost), whole)
    assert (tmp_path / 'train.json').read_text() == samples
    monkeypatch.setattr('sys.argv', f'{command} 16'.split())
    with pytest.raises(SystemExit):
        features.main()
    assert 'begun with other settings' in capsys.readouterr().err


def test_features_are_of_the_frames_in_order(tower_folder):
    tower = features.open_tower(tower_folder)
    stretch, _ = features.draw_stretch(11, (8,), (1.0,))
    episode = Episode(11, 'train')
    found = features.encode(tower, episode, stretch)
    assert found.shape == (16, 10, 32)
    picture = torch.from_numpy(episode.frame(stretch.time(5), 32)).permute(2, 0, 1)[None]
    alone = tower.encode(picture).to(torch.bfloat16)[0]
    assert torch.allclose(found[5].float(), alone.float(), atol=0.05)


def test_the_tower_has_not_seen_the_episodes():
    """Even if no picture of its training were shown twice, nor two of one world."""
    recipe = TowerTraining.load(RECIPE)
    assert recipe.first_seed + recipe.num_steps * recipe.batch_size < features.FIRST_SEED


def test_stretches_are_drawn_by_seed():
    first, _ = features.draw_stretch(5, (8, 16), (0.5, 0.5))
    again, _ = features.draw_stretch(5, (8, 16), (0.5, 0.5))
    others = {features.draw_stretch(seed, (8, 16), (0.5, 0.5))[0].start for seed in range(20)}
    assert first == again and len(others) > 10
    assert np.isclose(first.start * 10, round(first.start * 10))
