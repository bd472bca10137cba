# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""With the official bugs kept, every builder gives what the official one gave."""

import random

import pytest

from training.datasets import build
from training.datasets.ego4d_narration_stream import INSTRUCTIONS, clean_tracks
from training.datasets.ego4d_nlq_stream import TEMPLATES
from training.datasets.ego4d_refined_narration_stream import INSTRUCTIONS as REFINED_INSTRUCTIONS
from training.datasets.sample import BuildOptions
from training.datasets.splits import ego4d_split_uids


def samples_only(annos):
    return [{key: anno[key] for key in ('conversation', 'load_ranges')} for anno in annos]


def by_range(annos):
    return sorted(annos, key=lambda anno: str(anno['load_ranges']))


@pytest.mark.parametrize(
    'output, fps',
    [
        ('ego4d_narration_stream_train', 2),
        ('ego4d_narration_stream_val', 2),
        ('ego4d_narration_stream_train_fps4', 4),
        ('ego4d_narration_stream_train_fps10', 10),
    ],
)
def test_narration_stream(root, outputs, as_recorded, output, fps):
    split = 'val' if '_val' in output else 'train'
    built = build('ego4d_narration_stream', root, split, fps=fps, official=True)
    # the official order follows a set of video uids
    assert by_range(as_recorded(built)) == by_range(outputs[output]['annos'])


@pytest.mark.parametrize('split', ['train', 'val'])
def test_narration_split_and_cleaned_text(root, files, outputs, split):
    recorded = outputs[f'ego4d_narration_stream_{split}']
    options = BuildOptions(root, split, official=True)
    narrated = next(files[path] for path in files if path.endswith('narrations_redacted.json'))
    assert sorted(ego4d_split_uids(options, narrated['videos'], split)) == sorted(
        recorded['video_uids']
    )
    tracks = [
        (track.uid, [{'time': n.time, 'text': n.text} for n in track.narrations])
        for track in clean_tracks(options)
    ]
    for uid, annotators in recorded['cleaned'].items():
        assert [track for of, track in tracks if of == uid] == list(annotators.values())
    assert len(tracks) == sum(len(annotators) for annotators in recorded['cleaned'].values())


@pytest.mark.parametrize('split', ['train', 'val'])
def test_narration_as_loaded(root, outputs, split):
    built = build('ego4d_narration_stream', root, split, official=True)
    loaded = [sample.load(random.Random(0))[0] for sample in built]
    assert sorted(loaded, key=str) == sorted(
        outputs[f'ego4d_narration_stream_{split}']['preprocessed'], key=str
    )


@pytest.mark.parametrize('split', ['train', 'val'])
def test_refined_narration_stream(root, outputs, as_recorded, split):
    recorded = outputs[f'ego4d_refined_narration_stream_{split}']
    built = build('ego4d_refined_narration_stream', root, split, official=True)
    assert as_recorded(built) == recorded['annos']
    assert list(REFINED_INSTRUCTIONS) == recorded['instructions']


def test_narration_instruction(outputs):
    assert list(INSTRUCTIONS) == outputs['ego4d_narration_stream_instructions']


@pytest.mark.parametrize('case', range(4))
def test_livechat(root, outputs, as_recorded, wish, case):
    recorded = outputs['ego4d_goalstep_livechat_trainval'][case]
    rng = wish(recorded['waiting_frames_wanted'])
    built = build('ego4d_goalstep_livechat', root, official=True, rng=rng)
    assert as_recorded(built) == recorded['annos']
    assert rng.bounds == recorded['waiting_frames_bounds']


@pytest.mark.parametrize('split', ['train', 'val'])
def test_nlq_stream(root, outputs, as_recorded, split):
    recorded = outputs[f'ego4d_nlq_stream_{split}']['annos']
    built = build('ego4d_nlq_stream', root, split, official=True)
    assert as_recorded(built) == samples_only(recorded)
    assert [sample.labels['query'] for sample in built] == [anno['query'] for anno in recorded]
    assert list(TEMPLATES) == outputs['nlq_templates']


@pytest.mark.parametrize('split', ['train', 'val', 'test'])
def test_lta(root, outputs, as_recorded, split):
    part = 'test_unannotated' if split == 'test' else split
    recorded = outputs[f'ego4d_lta_{part}']
    built = build('ego4d_lta', root, split, official=True)
    assert as_recorded(built) == samples_only(recorded['annos'])
    for sample, anno in zip(built, recorded['annos'], strict=True):
        assert sample.generation_prompt == anno['add_generation_prompt']
        assert sample.labels == {key: anno[key] for key in sample.labels}


@pytest.mark.parametrize('split', ['train', 'test'])
@pytest.mark.parametrize('name', ['step', 'next', 'task', 'procedure', 'taskprocedure'])
def test_coin(root, outputs, as_recorded, name, split):
    recorded = outputs[f'coin_{name}_{split}']
    built = build(f'coin_{name}', root, split, official=True)
    assert as_recorded(built) == recorded['annos']
    assert [sample.labels['labels'] for sample in built] == recorded['labels']
    assert all(sample.generation_prompt != recorded['is_training'] for sample in built)


def test_robustness(root, outputs):
    built = build('robustness', root, official=True)
    assert [
        {'conversation': list(sample.conversation), 'frames': sample.frames} for sample in built
    ] == outputs['robustness']
