# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Conversations on disk become examples; the same key always the same one."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from tests.training.golden import load_golden
from tests.training.toy import DIM, write_toy
from training.corpus import Corpus, CorpusError, Key, read_conversations
from training.features import FeatureError, FeatureStore
from training.recipe import DataRecipe, StageRecipe
from vlo_ros.page import IGNORE


def make_corpus(folder: Path, *stages: StageRecipe, **changes) -> Corpus:
    conversations, features = write_toy(folder)
    return Corpus(
        read_conversations([conversations]), FeatureStore([features]),
        load_golden('live1plus').template, DataRecipe(**changes), stages, features_dim=DIM,
    )  # fmt: skip


def test_window_has_its_frames_and_positions(tmp_path: Path) -> None:
    corpus = make_corpus(
        tmp_path, StageRecipe(window_frames=8, position_gap=500, unlearned_frames=3)
    )
    found, all_gaps = set(), []
    for draw in range(12):
        example = corpus[Key(draw)]
        again = corpus[Key(draw)]
        assert example.rendered == again.rendered
        assert torch.equal(example.features, again.features)
        assert len(example.features) == 8
        assert sum(example.rendered.is_frame) == 80
        fourth_frame = [i for i, flag in enumerate(example.rendered.is_frame) if flag][30]
        assert set(example.rendered.labels[:fourth_frame]) == {IGNORE}
        gaps = [b - a for a, b in pairwise(example.position_ids) if b - a != 1]
        assert len(gaps) <= 1
        all_gaps += gaps
        found.add(example.rendered.text)
    assert len(found) > 6
    assert all_gaps and min(all_gaps) > 1 and max(all_gaps) <= 501


def test_window_shows_the_frames_it_talks_about(tmp_path: Path) -> None:
    """The features of a whole conversation, cut anywhere, are the file's own."""
    corpus = make_corpus(tmp_path, StageRecipe(window_frames=60))
    store = FeatureStore([tmp_path])
    whole = [store.load({f'toy_{number}': (0, 60)}) for number in range(6)]
    features = corpus[Key(0)].features
    assert any(torch.equal(features, one) for one in whole)


def test_a_stage_draws_from_the_files_it_names(tmp_path: Path) -> None:
    conversations, features = write_toy(tmp_path)
    samples = json.loads(Path(conversations).read_text())
    for sample in samples[:3]:
        for message in sample['conversation']:
            if message['role'] == 'assistant':
                message['content'] = 'Only here.'
    for name, half in (('one', samples[:3]), ('two', samples[3:])):
        (tmp_path / f'{name}.json').write_text(json.dumps(half))
    paths = [tmp_path / 'one.json', tmp_path / 'two.json']
    parts = (
        read_conversations(paths), FeatureStore([features]), load_golden('live1plus').template,
        DataRecipe(),
    )  # fmt: skip
    stages = [StageRecipe(window_frames=60, files=('two',)), StageRecipe(window_frames=60)]
    corpus = Corpus(*parts, stages, features_dim=DIM)
    drawn = [
        {corpus[Key(draw, None, stage)].rendered.text for draw in range(24)} for stage in (0, 1)
    ]
    heard = [any('Only here.' in text for text in texts) for texts in drawn]
    assert heard == [False, True]
    with pytest.raises(CorpusError, match="'three' is not among one, two"):
        Corpus(*parts, [StageRecipe(files=('three',))], features_dim=DIM)


def test_blind(tmp_path: Path) -> None:
    assert not make_corpus(tmp_path, blind=True)[Key(0, 0)].features.any()


def test_long_conversations_are_cut(tmp_path: Path) -> None:
    example = make_corpus(tmp_path, max_num_frames=20)[Key(0, 0)]
    assert 1 < len(example.features) <= 20
    assert sum(example.rendered.is_frame) == 10 * len(example.features)


def test_frames_that_are_in_no_file(tmp_path: Path) -> None:
    """As the robustness set has them: noise, black, or none at all."""
    corpus = make_corpus(tmp_path)
    talk = [
        {'role': 'user', 'content': 'And?'},
        {'role': 'assistant', 'content': 'No.', 'learn': True},
    ]
    frames = {'role': 'stream', 'num_frames': 4, 'learn': False}
    noise = {'shape': [4, None, 1024], 'kind': 'uniform random in [0,1)'}
    corpus.samples = [
        {'conversation': talk, 'load_ranges': {}},
        *(
            {'conversation': [frames, *talk], 'load_ranges': {}, 'frames': made_up}
            for made_up in (noise, {**noise, 'kind': 'zeros'}, {**noise, 'shape': [1, 1024]})
        ),
    ]
    none, noisy, black, official = (corpus[Key(0, index)].features for index in range(4))
    assert none.shape == (0, 10, DIM)
    assert noisy.shape == black.shape == official.shape == (4, 10, DIM)
    assert noisy.unique().numel() == 4 * 10 * DIM
    assert official.unique().numel() == DIM
    assert not black.any()


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('[', 'Expecting value'),
        ('{}', 'a list of conversations'),
        ('[{"conversation": []}]', 'entry 0 lacks'),
        ('[]', 'nothing to learn'),
    ],
)
def test_damaged_conversations_are_one_line(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / 'c.json'
    path.write_text(content)
    with pytest.raises(CorpusError, match=message) as caught:
        read_conversations([path])
    assert '\n' not in str(caught.value)


def test_features_of_every_layout(tmp_path: Path) -> None:
    features = torch.rand(5, 10, 4)
    torch.save(features, tmp_path / 'a.pt')
    conversations, folder = write_toy(tmp_path)
    assert json.loads(Path(conversations).read_text())
    for in_memory in (False, True):
        store = FeatureStore([folder], in_memory)
        assert torch.equal(store.load({'a.pt': (1, 3)}), features[1:3])
        assert torch.equal(store.load({str(tmp_path / 'a.pt'): (0, 5)}), features)
        both = store.load({'toy_0': (0, 2), 'toy_1': (3, 4)})
        assert both.shape == (3, 10, DIM)
        with pytest.raises(FeatureError, match='it has fewer'):
            store.load({'a.pt': (3, 9)})
        with pytest.raises(FeatureError, match='neither a shard tensor nor a file'):
            store.load({'b.pt': (0, 1)})
    (tmp_path / 'bad.pt').write_bytes(b'not a file')
    with pytest.raises(FeatureError, match='damaged'):
        FeatureStore([folder]).load({'bad.pt': (0, 1)})
    with pytest.raises(FeatureError, match='no folder'):
        FeatureStore([tmp_path / 'none'])
