# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every sample of every data set is a conversation that the template accepts."""

import copy
import random

import pytest
from transformers import AutoTokenizer

from training.datasets import DATASETS, build
from vlo_ros.language import family_of
from vlo_ros.template import Template, turns_from

from .conftest import ANNOTATIONS, GOLDEN


@pytest.fixture(scope='module')
def template():
    tokenizer = AutoTokenizer.from_pretrained(GOLDEN.parent / 'live1plus' / 'llm')
    return Template(tokenizer, family_of('llama'), frame_num_tokens=10, use_interval=True)


@pytest.mark.parametrize('augmentation', [False, True])
@pytest.mark.parametrize('name', DATASETS)
def test_every_sample_renders(tree, files, template, name, augmentation):
    nlq_test = copy.deepcopy(files[f'{ANNOTATIONS}/nlq_val.json'])  # the recorded one has no clips
    for video in nlq_test['videos']:
        video['split'] = 'test'
    root = tree(files | {f'{ANNOTATIONS}/nlq_test.json': nlq_test})
    for split in DATASETS[name].splits:
        samples = build(name, root, split)
        assert samples
        for seed, sample in enumerate(samples):
            conversation, ranges = sample.load(
                random.Random(seed), max_num_frames=120, augmentation=augmentation
            )
            num_frames = sum(message.get('num_frames', 0) for message in conversation)
            if sample.frames is None:
                assert num_frames == sum(end - first for first, end in ranges.values()) <= 120
            rendered = template.render(turns_from(conversation, 'Watch.'))
            assert sum(rendered.is_frame) == 10 * num_frames
