# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
import random

import pytest

from training.datasets import DatasetError, build

NLQ = 'ego4d_nlq_stream'


def queries(*regions, clip=(0.0, 20.0), split='train', query='Q?'):
    return {
        f'nlq_{split}.json': {
            'videos': [
                {
                    'video_uid': 'v',
                    'split': split,
                    'clips': [
                        {
                            'video_start_sec': clip[0],
                            'video_end_sec': clip[1],
                            'annotations': [
                                {
                                    'language_queries': [
                                        {
                                            'video_start_sec': start,
                                            'video_end_sec': end,
                                            'query': query,
                                        }
                                        for start, end in regions
                                    ]
                                }
                            ],
                        }
                    ],
                }
            ]
        }
    }


@pytest.fixture
def said(one_video, short):
    """Build queries and describe each conversation with `[` for starts and `]` for ends."""

    def describe(contents, **options):
        return [
            (
                short(sample.conversation)
                .replace('A(The video related to the query "q?" starts.)', '[')
                .replace('A(The video related to the query "q?" ends.)', ']'),
                *sample.load_ranges.values(),
            )
            for sample in one_video(NLQ, contents, **options)
        ]

    return describe


def test_overlapping_regions_are_merged(said):
    """Corrected: officially the second of two that overlap is lost."""
    contents = queries((2, 4), (3, 6), (8, 9))
    assert said(contents) == [('S5 [ S8 ] S4 [ S2 ]', (0, 19))]
    assert said(contents, official=True) == [('S5 [ S4 ] S8 [ S2 ]', (0, 19))]
    bridged = queries((2, 4), (6, 8), (3, 7))
    assert said(bridged) == [('S5 [ S12 ]', (0, 17))]
    assert said(bridged, official=True) == [('S5 [ S4 ] S4 [ S4 ]', (0, 17))]


@pytest.mark.parametrize('official', [False, True])
def test_a_region_within_one_frame_ends_the_sample(said, official):
    contents = queries((2, 4), (6.6, 6.8), (8, 9))
    assert said(contents, official=official) == [('S5 [ S4 ]', (0, 9))]
    assert said(queries((6.6, 6.8), (8, 9)), official=official) == []


@pytest.mark.parametrize('official', [False, True])
def test_regions_outside_the_clip_go_to_its_ends(said, official):
    contents = queries((0, 4), (18, 30), clip=(2.2, 19.0))
    assert said(contents, official=official) == [('S1 [ S3 ] S28 [ S2 ]', (5, 39))]


@pytest.mark.parametrize('official', [False, True])
def test_touching_regions_stay_apart(said, official):
    contents = queries((2, 4), (4, 6))
    assert said(contents, official=official) == [('S5 [ S4 ] S1 [ S3 ]', (0, 13))]


@pytest.mark.parametrize('official', [False, True])
def test_a_clip_past_the_features_is_left_out(said, official):
    assert said(queries((2, 4), clip=(0, 20.6)), official=official) == []
    assert said(queries((2, 4), clip=(0, 20.5)), official=official) == [('S5 [ S4 ]', (0, 9))]


def test_a_clip_within_one_frame_is_left_out(said):
    """Corrected: officially it stops the whole data set."""
    contents = queries((2.1, 2.2), clip=(2.1, 2.2))
    assert said(contents) == []
    with pytest.raises(DatasetError, match=r'videos\[0\].clips\[0\] is shorter than a frame'):
        said(contents, official=True)


def test_an_empty_slot_asks_nothing(one_video):
    contents = queries((2, 4))
    entry = contents['nlq_train.json']['videos'][0]['clips'][0]['annotations'][0]
    entry['language_queries'][0] |= {'query': None, 'slot_x': ''}
    assert one_video(NLQ, contents) == []
    assert len(one_video(NLQ, contents, official=True)) == 1


def test_the_question_is_drawn(one_video):
    (sample,) = one_video(NLQ, queries((2, 4), query='Where?'))
    drawn = set()
    for seed in range(200):
        conversation, _ = sample.load(random.Random(seed))
        assert [m['role'] for m in conversation[:2]] == ['user', 'stream']
        drawn.add(conversation[0]['content'])
    assert drawn == set(sample.instructions)
    assert 'Retrieve query "where?".' in drawn


@pytest.mark.parametrize('fps', [1, 2, 5, 10, 30])
def test_streams_are_whole(one_video, fps):
    seed = 23
    print('seed', seed)
    rng = random.Random(seed)
    contents = queries((1, 2))
    clips = contents['nlq_train.json']['videos'][0]['clips']
    for _ in range(150):
        start = round(rng.uniform(0, 10), 2)
        regions = []
        for _ in range(5):
            at = round(start + rng.uniform(0, 9), 3)
            regions.append((at, round(at + rng.uniform(0, 4), 3)))
        clips += queries(*regions, clip=(start, start + 9.7))['nlq_train.json']['videos'][0][
            'clips'
        ]
    samples = one_video(NLQ, contents, fps=fps, duration=20)
    assert len(samples) > 80
    for sample in samples:
        ((first, end),) = sample.load_ranges.values()
        counts = [m['num_frames'] for m in sample.conversation[::2]]
        assert all(m['role'] == 'stream' for m in sample.conversation[::2])
        assert all(count >= 1 for count in counts)
        assert sum(counts) == end - first
        starts = [m['content'].endswith('starts.') for m in sample.conversation[1::2]]
        assert starts == [True, False] * (len(starts) // 2)


def test_test_queries(one_video, short):
    """Corrected: the published file is `nlq_test_unannotated.json`; its queries have no times."""
    contents = queries((2, 4), split='test')
    assert len(one_video(NLQ, contents, split='test', official=True)) == 1
    assert len(one_video(NLQ, contents, split='test')) == 1


def test_published_test_queries_have_no_answer(one_video, short):
    contents = {'nlq_test_unannotated.json': queries((2, 4), split='test')['nlq_test.json']}
    entry = contents['nlq_test_unannotated.json']['videos'][0]['clips'][0]['annotations'][0]
    entry['language_queries'] = [{'query': 'Where?'}]
    (sample,) = one_video(NLQ, contents, split='test')
    assert short(sample.conversation) == 'S41:0'
    assert list(sample.load_ranges.values()) == [(0, 41)]
    with pytest.raises(DatasetError, match=r'nlq_test\.json: no such annotation file'):
        one_video(NLQ, contents, split='test', official=True)


def test_a_file_of_another_split_is_refused(root, tree, files):
    folder = 'datasets/ego4d/v2/annotations'
    tree({f'{folder}/nlq_val.json': files[f'{folder}/nlq_train.json']})
    with pytest.raises(DatasetError, match=r'nlq_val.json: videos\[0\].split must be'):
        build(NLQ, root, 'val')
