# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
import math
import random
from fractions import Fraction

import pytest

from training.datasets import DatasetError, build

NARRATION = 'ego4d_refined_narration_stream'


def track(*narrations):
    return {
        'refined_narration_stream_train.json': {
            'v': {'ann': [{'time': time, 'text': text} for time, text in narrations]}
        }
    }


def test_no_frame_is_lost_at_10_fps(one_video, short):
    """Corrected: officially 11.269 s at 10 fps opens with a stream of no frames."""
    contents = track((11.269, 'a'), (13.9, 'b'))
    (sample,) = one_video(NARRATION, contents, fps=10)
    assert short(sample.conversation) == 'S1 A(a) S26 A(b)'
    assert list(sample.load_ranges.values()) == [(113, 140)]
    sample.load(random.Random(0))
    (official,) = one_video(NARRATION, contents, fps=10, official=True)
    assert short(official.conversation) == 'S0 A(a) S25 A(b)'
    with pytest.raises(DatasetError, match=r'v\.pt: the stream before .* has 0 frames'):
        official.load(random.Random(0))


def test_a_track_out_of_order_is_sorted(one_video, short):
    contents = track((5.0, 'b'), (2.0, 'a'))
    (sample,) = one_video(NARRATION, contents)
    assert short(sample.conversation) == 'S1 A(a) S6 A(b)'
    (official,) = one_video(NARRATION, contents, official=True)
    assert short(official.conversation) == 'S1 A(b) S-6 A(a)'


@pytest.mark.parametrize('official', [False, True])
def test_times_outside_the_video_go_to_its_ends(one_video, short, official):
    contents = track((-3, 'early'), (20.5, 'end'), (20.6, 'never'), (900, 'never'))
    (sample,) = one_video(NARRATION, contents, official=official)
    assert short(sample.conversation) == 'S1 A(early) S41 A(end)'
    (late,) = one_video(NARRATION, track((48, 'late'), (50, 'later')), official=official)
    assert short(late.conversation) == 'S1 A(late)'
    assert list(late.load_ranges.values()) == [(41, 42)]


@pytest.mark.parametrize('official', [False, True])
def test_one_sentence_for_one_frame(one_video, short, official):
    contents = track((0.6, 'a'), (0.9, 'b'), (1.0, 'b'), (1.2, 'b'), (1.3, 'c'), (1.4, 'd'))
    (sample,) = one_video(NARRATION, contents, official=official)
    assert short(sample.conversation) == 'S1 A(b) S1 A(d)'


def test_a_duration_between_frames(one_video, short):
    """Corrected: there is no frame at 20.7 s, so a late sentence belongs to the one at 20.5 s."""
    contents = track((20.0, 'a'), (20.6, 'b'))
    (sample,) = one_video(NARRATION, contents, duration=20.7)
    assert short(sample.conversation) == 'S1 A(a) S1 A(b)'
    (official,) = one_video(NARRATION, contents, duration=20.7, official=True)
    assert short(official.conversation) == 'S1 A(a) S1 A(b)'
    contents = track((20.4, 'a'), (20.6, 'b'))
    (sample,) = one_video(NARRATION, contents, duration=20.7)
    assert short(sample.conversation) == 'S1 A(a)'
    (official,) = one_video(NARRATION, contents, duration=20.7, official=True)
    assert short(official.conversation) == 'S1 A(a) S0 A(b)'


@pytest.mark.parametrize('fps', [0.5, 1, 2, 5, 10, 15, 24, 30])
def test_every_sentence_stands_at_its_frame(one_video, fps):
    seed = 11
    print('seed', seed)
    rng = random.Random(seed)
    annotators = {}
    for number in range(60):
        times = sorted(round(rng.uniform(-2, 70), rng.randint(0, 4)) for _ in range(20))
        annotators[f'a{number}'] = [{'time': time, 'text': f'{i}'} for i, time in enumerate(times)]
    contents = {'refined_narration_stream_train.json': {'v': annotators}}
    duration = 60
    samples = one_video(NARRATION, contents, duration=duration, fps=fps)
    assert len(samples) == len(annotators)
    last = int(duration * fps)
    for sample, narrations in zip(samples, annotators.values(), strict=True):
        ((first, end),) = sample.load_ranges.values()
        assert 0 <= first < end <= last + 1
        frame = first - 1
        spoken = {}
        for message in sample.conversation:
            if message['role'] == 'stream':
                assert message['num_frames'] >= 1
                frame += message['num_frames']
            else:
                spoken[frame] = message['content']
        assert frame == end - 1
        expected = {}
        for narration in narrations:
            if last in expected:
                break
            exact = Fraction(str(narration['time'])) * Fraction(str(fps))
            expected[min(max(math.ceil(exact), 0), last)] = narration['text']
        assert spoken == expected


def test_cached_files_are_believed(root, tree, short):
    """The official code caches the split's uids and its cleaned text beside the annotations."""
    folder = 'datasets/ego4d/v2/annotations'
    tree({f'{folder}/narration_stream_video_uids_train.json': ['vid02', 'vid00', 'gone']})
    samples = build('ego4d_narration_stream', root)
    assert [next(iter(sample.load_ranges))[-8:] for sample in samples] == ['vid02.pt', 'vid00.pt']
    tree({f'{folder}/narration_stream_train.json': {'vid05': {'x': [{'time': 3, 'text': 'Hm.'}]}}})
    (sample,) = build('ego4d_narration_stream', root)
    assert short(sample.conversation) == 'S1 A(Hm.)'


def test_test_split(root):
    files = {next(iter(s.load_ranges))[-8:] for s in build('ego4d_narration_stream', root, 'test')}
    assert files == {'vid05.pt'}


def test_a_split_without_videos_is_empty(one_video):
    assert one_video(NARRATION, {'refined_narration_stream_train.json': {}}) == []
    assert one_video(NARRATION, {'refined_narration_stream_train.json': {'v': {}}}) == []
    assert one_video(NARRATION, {'refined_narration_stream_train.json': {'v': {'a': []}}}) == []


def test_videos_without_features_are_left_out_and_counted(one_video, caplog):
    """Corrected: officially one missing video stops the whole data set."""
    contents = {
        'refined_narration_stream_train.json': {
            'gone': {'a': [{'time': 1, 'text': 'x'}]},
            'v': {'a': [{'time': 1, 'text': 'y'}]},
        }
    }
    (sample,) = one_video(NARRATION, contents)
    assert sample.conversation[1]['content'] == 'y'
    assert '1 video(s) left out' in caplog.text
    assert 'gone' in caplog.text
    with pytest.raises(DatasetError, match=r'train.json: gone needs video gone'):
        one_video(NARRATION, contents, official=True)


def test_the_instruction_is_drawn(one_video):
    (sample,) = one_video(NARRATION, track((1, 'a'), (2, 'b')))
    before = [dict(message) for message in sample.conversation]
    drawn = set()
    for seed in range(200):
        conversation, ranges = sample.load(random.Random(seed))
        assert [m['role'] for m in conversation[:3]] == ['stream', 'user', 'assistant']
        assert conversation[0]['learn'] is False
        assert ranges == sample.load_ranges
        drawn.add(conversation[1]['content'])
    assert drawn == set(sample.instructions)
    assert [dict(message) for message in sample.conversation] == before


def test_unicode(one_video, short):
    (sample,) = one_video(NARRATION, track((1, 'Du öffnest die Tür 🚪.')))
    assert short(sample.conversation) == 'S1 A(Du öffnest die Tür 🚪.)'
