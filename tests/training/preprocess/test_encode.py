# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Features on disk are what a live stream computes of the same recording."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.recordings import START_NS, write_video
from training.features import FeatureError, FeatureStore
from training.preprocess.encode import fill_rows, process, ticks_of
from training.preprocess.feature_file import find_file, read_header, read_stamps
from training.preprocess.index import (
    metadata_path,
    remove_partial_files,
    write_index,
    write_report,
)
from training.preprocess.jobs import Job, find_jobs
from vlo_ros.checkpoint import load_tower
from vlo_ros.errors import ConfigError, SourceError
from vlo_ros.sampling import Sampler
from vlo_ros.sources import open_source


@pytest.fixture
def done(settings, recordings):
    """Every recording of the folder, encoded."""
    made = settings(batch_size=8)
    return made, {job.uid: process(made, job) for job in find_jobs([recordings])}


def test_features_equal_those_of_the_live_line(settings, recordings):
    made = settings(batch_size=7)
    process(made, Job('whole', str(recordings / 'whole.mp4')))
    tower = load_tower(made.model, torch.device('cpu'), torch.float32)
    frames = list(open_source(str(recordings / 'whole.mp4')).frames(Sampler(2.0)))
    live_NFV = tower.encode(tower.load_pixels([frame.image_HWC for frame in frames]))
    tensors = load_file(made.output / 'whole.safetensors')
    assert tensors['features'].dtype == torch.bfloat16
    assert tensors['features'].shape == (8, tower.frame_num_tokens, tower.dim)
    torch.testing.assert_close(tensors['features'].float(), live_NFV, rtol=1e-2, atol=1e-2)
    assert tensors['stamps_ns'].tolist() == [frame.stamp_ns for frame in frames]
    assert live_NFV.std(dim=0).max() > 0.05, 'frames that look alike would prove nothing'


def test_the_batch_size_changes_nothing(settings, recordings, tmp_path):
    job = Job('long', str(recordings / 'long.mp4'))
    made = settings(batch_size=5)
    process(made, job)
    first = load_file(made.output / 'long.safetensors')['features']
    (made.output / 'long.safetensors').unlink()
    process(settings(batch_size=30), job)
    second = load_file(made.output / 'long.safetensors')['features']
    torch.testing.assert_close(first, second, rtol=1e-2, atol=1e-2)


def test_every_recording_of_a_folder_is_found(recordings):
    jobs = find_jobs([recordings])
    assert sorted(job.uid for job in jobs) == ['cut', 'hole', 'long', 'nonsense', 'twice', 'whole']


def test_two_recordings_of_one_name_are_refused(tmp_path):
    for folder in ('left', 'right'):
        (tmp_path / folder).mkdir()
        write_video(tmp_path / folder / 'take.mp4', 2)
    with pytest.raises(SourceError, match=r'left/take.mp4 and .*right/take.mp4.*rename'):
        find_jobs([tmp_path])


@pytest.mark.parametrize('name', ['missing', 'empty'])
def test_an_input_with_nothing_in_it_is_refused(tmp_path, name):
    (tmp_path / 'empty').mkdir()
    with pytest.raises(SourceError, match=name):
        find_jobs([tmp_path / name])


def test_damaged_recordings_are_listed_and_kept_as_far_as_they_go(done):
    made, outcomes = done
    report = write_report(made.output, list(outcomes.values()), [])
    assert [entry['uid'] for entry in report['unreadable']] == ['nonsense']
    (damaged,) = report['damaged']
    assert damaged['uid'] == 'cut' and 'after' in damaged['reason']
    kept = read_header(made.output / 'cut.safetensors')
    assert 4 < kept.num_frames == damaged['frames_kept'] < 12
    assert find_file(made.output, 'nonsense') is None
    assert report['recordings'] == 6


def test_damage_is_still_reported_when_the_file_was_done_before(done, recordings):
    made, outcomes = done
    again = process(made, outcomes['cut'].job)
    assert again.was_done
    assert again.damage == outcomes['cut'].damage != ''


def test_stamps_that_go_back_begin_another_file(done):
    made, outcomes = done
    assert outcomes['twice'].header.num_parts == 2
    assert read_header(made.output / 'twice.safetensors').num_frames == 8
    assert read_header(made.output / 'twice.2.safetensors').num_frames == 4
    assert read_stamps(made.output / 'twice.2.safetensors')[0] == START_NS


def test_a_hole_is_kept_or_filled(done, settings):
    made, outcomes = done
    assert outcomes['hole'].header.hole_s == 2.0
    kept = load_file(made.output / 'hole.safetensors')['features']
    (made.output / 'hole.safetensors').unlink()
    process(settings(gaps='fill'), outcomes['hole'].job)
    filled = load_file(made.output / 'hole.safetensors')['features']
    # Frames at 0, 0.5 and 3 s onwards; 1 to 2.5 s show the frame before the hole.
    assert len(filled) == len(kept) + 4 == 10
    for tick in (2, 3, 4, 5):
        assert torch.equal(filled[tick], filled[1])
    torch.testing.assert_close(filled[6:], kept[2:], rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize(
    ('seconds', 'expected'),
    [
        ([0, 0.5, 2.0], [0, 1, 4]),
        ([0, 0.49, 1.01, 1.4], [0, 1, 2, 3]),  # stamps that tremble
        ([0, 2.9, 3.0, 3.5], [0, 5, 6, 7]),  # late behind a hole, and the next one in time
    ],
)
def test_ticks_count_from_the_first_frame(seconds, expected):
    stamps_ns = torch.tensor([7 + round(second * 1e9) for second in seconds])
    assert ticks_of(stamps_ns, fps=2.0).tolist() == expected


def test_every_tick_shows_the_newest_frame():
    assert fill_rows(torch.tensor([0, 1, 4])).tolist() == [0, 1, 1, 1, 2]


def test_the_index_is_what_builders_and_training_read(done):
    made, _ = done
    torch.save(torch.zeros(5, 10, 48, dtype=torch.bfloat16), made.output / 'official.pt')
    assert write_index(made.output, 2.0) == 7
    entries = json.loads(metadata_path(made.output).read_text())
    assert entries['whole']['duration'] == (8 - 1) / 2
    assert entries['official'] == {'duration': 2.0, 'path': str(made.output / 'official.pt')}
    dim = load_tower(made.model, torch.device('cpu'), torch.float32).dim
    for entry in entries.values():
        num_frames = round(entry['duration'] * 2) + 1
        read = FeatureStore([]).load({entry['path']: (0, num_frames)})
        assert read.shape == (num_frames, 10, dim)


def test_what_killed_runs_left_is_removed_and_what_others_write_is_not(settings):
    output = settings().output
    left = [output / '.whole.safetensors.7.partial'] + [
        output.with_name(f'.features_{what}.json.7.partial') for what in ('metadata', 'report')
    ]
    others = output.with_name('.features_2_report.json.7.partial')
    for path in (*left, others):
        path.touch()
    remove_partial_files(output)
    assert not any(path.exists() for path in left)
    assert others.exists()


def test_a_damaged_feature_file_is_made_again(settings, recordings):
    made = settings()
    job = Job('whole', str(recordings / 'whole.mp4'))
    process(made, job)
    path = made.output / 'whole.safetensors'
    path.write_bytes(path.read_bytes()[:100])
    assert not process(made, job).was_done
    assert read_header(path).num_frames == 8


@pytest.mark.parametrize(('name', 'value'), [('fps', 4.0), ('gaps', 'fill')])
def test_features_made_otherwise_are_not_mixed(settings, recordings, name, value):
    job = Job('whole', str(recordings / 'whole.mp4'))
    process(settings(), job)
    with pytest.raises(ConfigError, match=f'made with {name}'):
        process(settings(**{name: value}), job)


def test_an_official_file_counts_as_done(settings, recordings):
    made = settings()
    torch.save(torch.zeros(8, 10, 48), made.output / 'whole.pt')
    outcome = process(made, Job('whole', str(recordings / 'whole.mp4')))
    assert outcome.was_done and outcome.header.num_frames == 8


@pytest.mark.parametrize('content', [b'', b'rubbish', {'features': 1}])
def test_a_pt_file_that_is_no_tensor_is_an_error(tmp_path, content):
    path = tmp_path / 'v.pt'
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(FeatureError, match=r'v\.pt'):
        read_header(path)


@pytest.mark.parametrize('wrong', [{'fps': 0}, {'gaps': 'guess'}, {'batch_size': 0}])
def test_settings_out_of_range_are_refused(settings, wrong):
    with pytest.raises(ConfigError, match='--'):
        settings(**wrong)


def test_sources_are_paths(recordings):
    assert all(Path(job.source).exists() for job in find_jobs([recordings]))
