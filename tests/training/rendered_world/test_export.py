# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The export is read by the builders of the published data."""

import json

import av
import pytest
import torch

from training.datasets import (
    ego4d_goalstep_livechat,
    ego4d_narration_stream,
    ego4d_refined_narration_stream,
)
from training.datasets.sample import BuildOptions
from training.rendered_world.conversation import Stretch, narrations_by_frame
from training.rendered_world.export import Video, export_ego4d
from training.rendered_world.tower import TowerShape, make_tower
from vlo_ros.rendered_world import Episode

SECONDS = 30.0


@pytest.fixture(scope='module')
def videos():
    return [
        Video(Episode(1, 'train'), SECONDS, 'train'),
        Video(Episode(2, 'train'), SECONDS, 'train'),
        Video(Episode(1, 'new'), SECONDS, 'val'),
    ]


@pytest.fixture(scope='module')
def root(videos, tmp_path_factory):
    folder = tmp_path_factory.mktemp('export')
    torch.manual_seed(0)
    make_tower(TowerShape(32, 16, 32, 1, 1)).save_pretrained(folder / 'tower')
    export_ego4d(folder, videos, folder / 'tower', video_size=32)
    return folder


def test_splits_are_found(root):
    build = ego4d_narration_stream.build
    assert len(build(BuildOptions(root, 'train'))) == 2
    assert len(build(BuildOptions(root, 'val'))) == 1


@pytest.mark.parametrize('builder', [ego4d_narration_stream, ego4d_refined_narration_stream])
def test_builders_put_every_narration_at_its_frame(root, videos, builder):
    samples = builder.build(BuildOptions(root, 'train'))
    trained = [video for video in videos if video.part == 'train']
    for sample, video in zip(samples, trained, strict=True):
        (file, (first, end)) = next(iter(sample.load_ranges.items()))
        said, frame = {}, first - 1
        for message in sample.conversation:
            if message['role'] == 'stream':
                frame += message['num_frames']
            else:
                said[frame] = message['content'].replace('C ', 'You ', 1).split(' the ', 1)[1]
        truth = narrations_by_frame(video.episode, Stretch(0.0, int(SECONDS * 2)))
        assert said == {i: text.split(' the ', 1)[1] for i, text in truth.items()}
        features = torch.load(file)
        assert features.shape == (SECONDS * 2, 10, 32) and end <= len(features)


def test_goal_steps_nest_and_cover_the_video(root):
    notes = root / 'datasets/ego4d/v2/annotations'
    for video in json.loads((notes / 'goalstep_train.json').read_text())['videos']:
        ends = [0.0]
        for goal in video['segments']:
            assert goal['start_time'] == goal['segments'][0]['start_time']
            assert goal['end_time'] == goal['segments'][-1]['end_time']
            for step in goal['segments']:
                assert step['start_time'] - ends[-1] < 2.0  # the first pause belongs to no step
                ends.append(step['end_time'])
        assert ends[-1] == SECONDS


def test_livechat_questions_have_answers(root):
    samples = ego4d_goalstep_livechat.build(BuildOptions(root, 'trainval'))
    assert samples
    for sample in samples:
        roles = [message['role'] for message in sample.conversation]
        first = roles.index('user')
        assert first <= 1 and roles[first + 1] == 'assistant' and 'stream' in roles


def test_mp4_files_have_every_picture(root):
    file = root / 'datasets/ego4d/v2/full_scale/rendered-new-1.mp4'
    with av.open(str(file)) as container:
        assert sum(1 for _ in container.decode(video=0)) == SECONDS * 10
