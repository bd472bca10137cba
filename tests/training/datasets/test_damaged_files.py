# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whatever is wrong with an annotation file is one DatasetError that names file and key."""

import copy
import json
import random

import pytest

from training.datasets import DATASETS, DatasetError, build

FOLDER = 'datasets/ego4d/v2/annotations'
NEEDS = {
    'ego4d_narration_stream': f'{FOLDER}/all_narrations_redacted.json',
    'ego4d_refined_narration_stream': f'{FOLDER}/refined_narration_stream_train.json',
    'ego4d_goalstep_livechat': f'{FOLDER}/goalstep_livechat_trainval_filtered_21k.json',
    'ego4d_nlq_stream': f'{FOLDER}/nlq_train.json',
    'ego4d_lta': f'{FOLDER}/fho_lta_train.json',
    'coin_step': 'datasets/coin/coin.json',
    'coin_next': 'datasets/coin/coin.json',
    'coin_task': 'datasets/coin/coin.json',
    'coin_procedure': 'datasets/coin/coin.json',
    'coin_taskprocedure': 'datasets/coin/coin.json',
}


@pytest.mark.parametrize('name', NEEDS)
@pytest.mark.parametrize(
    'content, said',
    [
        (None, 'no such annotation file'),
        (b'', 'not valid JSON at line 1, column 1'),
        (b'{"videos": [1, ', 'not valid JSON at line 1'),
        (b'\xff\xfe\x00', 'not UTF-8 at byte 0'),
        (b'[' * 100_000, 'nested too deeply'),
        (b'3', 'the file must be a'),
    ],
)
def test_damaged_files(root, name, content, said):
    file = root / NEEDS[name]
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(DatasetError, match=said) as caught:
        build(name, root)
    assert str(caught.value).startswith(f'{file}: ')
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
    'name, change, said',
    [
        (
            'ego4d_narration_stream',
            lambda d: d['videos']['vid00']['narrations'][3].pop('time'),
            'videos.vid00.narrations[3].time is missing',
        ),
        (
            'ego4d_narration_stream',
            lambda d: d['videos']['vid00']['narrations'][0].update(time='0.5'),
            'videos.vid00.narrations[0].time must be a number, not "0.5"',
        ),
        (
            'ego4d_narration_stream',
            lambda d: d['videos']['vid00']['narrations'][0].update(time=float('nan')),
            'videos.vid00.narrations[0].time must be a finite number, not NaN',
        ),
        (
            'ego4d_refined_narration_stream',
            lambda d: d['vid00'].update(hand={}),
            'vid00.hand must be a list, not {}',
        ),
        (
            'ego4d_goalstep_livechat',
            lambda d: d[2].update(video_uid=None),
            '[2].video_uid is missing',
        ),
        (
            'ego4d_nlq_stream',
            lambda d: d['videos'][0]['clips'][1].pop('video_end_sec'),
            'videos[0].clips[1].video_end_sec is missing',
        ),
        (
            'ego4d_lta',
            lambda d: d['clips'][4].update(noun_label=7),
            'clips[4].noun_label must be an integer from 0 to 6, not 7',
        ),
        (
            'coin_next',
            lambda d: d['database']['coin3']['annotation'][1].update(segment=[4.0]),
            'database.coin3.annotation[1].segment must be [start, end] in s',
        ),
        (
            'coin_task',
            lambda d: d['database']['coin3'].update(end=0.5),
            'database.coin3.end is before the start: 0.5 < 1.359',
        ),
    ],
)
def test_the_key_is_named(tree, files, name, change, said):
    change(files[NEEDS[name]])
    root = tree(files)
    with pytest.raises(DatasetError) as caught:
        build(name, root)
    assert str(caught.value) == f'{root / NEEDS[name]}: {said}'


def places(value, path=()):
    """Yield the path of every value in a JSON document."""
    yield path
    if isinstance(value, dict | list):
        for name, child in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(child, (*path, name))


@pytest.mark.parametrize('name', DATASETS)
def test_random_damage_never_ends_in_another_error(root, files, name):
    """Values are removed or replaced anywhere in any file the data set reads."""
    seed = 17
    print('seed', seed)
    rng = random.Random(seed)
    relevant = [
        path
        for path in files
        if ('coin' in path) == name.startswith('coin')
        and (path == NEEDS.get(name) or len(json.dumps(files[path])) < 2500)
    ]
    failed = 0
    for _ in range(25 if name in NEEDS else 1):
        path = rng.choice([NEEDS.get(name), rng.choice(relevant)]) or relevant[0]
        content = copy.deepcopy(files[path])
        way = rng.choice(list(places(content)))
        holder = content
        for step in way[:-1]:
            holder = holder[step]
        value = rng.choice([None, 'x', -3.5, 1e30, True, [], {}, [[1, 2]], {'a': 1}, 10**400])
        if not way:
            content = value
        elif rng.random() < 0.3:
            del holder[way[-1]]
        else:
            holder[way[-1]] = value
        (root / path).write_text(json.dumps(content))
        official = rng.random() < 0.5
        try:
            build(name, root, official=official)
        except DatasetError as error:
            failed += 1
            assert '\n' not in str(error)
            assert str(root) in str(error)
        (root / path).write_text(json.dumps(files[path]))
    assert failed or name == 'robustness'


def test_missing_metadata_is_named(root):
    for file in (root / 'datasets/ego4d/v2').glob('*_metadata.json'):
        file.unlink()
    with pytest.raises(DatasetError, match=r'2fps_384_1\+3x3_google.*: no such metadata file'):
        build('ego4d_lta', root)


def test_features_are_chosen_by_their_mark(root, tree):
    stem = 'datasets/ego4d/v2/full_scale'
    other = {f'{stem}_5fps_384_1_some--tower_metadata.json': {}}
    tree(other)
    assert build('ego4d_refined_narration_stream', root)
    assert build('ego4d_refined_narration_stream', root, embed_mark='5fps_384_1') == []
    for file in (root / 'datasets/ego4d/v2').glob('*google*_metadata.json'):
        file.unlink()
    assert build('ego4d_refined_narration_stream', root) == []
    tree({f'{stem}_2fps_384_4_some--tower_metadata.json': {}})
    with pytest.raises(DatasetError, match='several fit, choose one by its mark: full_scale_2fps'):
        build('ego4d_refined_narration_stream', root)
