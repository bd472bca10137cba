# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`python -m training.datasets`, as a person or a program calls it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from training.datasets import DATASETS
from training.datasets.__main__ import app

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def run(root, tmp_path):
    def call(name, *arguments, expect=0):
        output = tmp_path / 'out' / 'samples.json'
        result = CliRunner().invoke(
            app, [name, '--root', str(root), '--output', str(output), *arguments]
        )
        assert result.exit_code == expect, result.output
        if expect:
            assert not output.exists()
            return result.stderr
        return json.loads(output.read_text(encoding='utf-8'))

    return call


def test_official_samples_are_written_as_recorded(run, outputs):
    written = run('ego4d_nlq_stream', '--split', 'val', '--official')
    recorded = outputs['ego4d_nlq_stream_val']['annos']
    assert written == [
        {key: anno[key] for key in ('conversation', 'load_ranges')} for anno in recorded
    ]


def test_frames_that_are_in_no_file_are_described(run, outputs):
    written = run('robustness', '--official')
    assert [sample['load_ranges'] for sample in written] == [{}] * 5
    assert [sample.get('frames') for sample in written] == [
        sample['frames'] for sample in outputs['robustness']
    ]


def test_corrected_is_the_default(run):
    official = run('ego4d_nlq_stream', '--official')
    assert run('ego4d_nlq_stream') != official


def test_loaded_samples_have_their_instruction(run):
    plain = run('ego4d_narration_stream')
    loaded = run('ego4d_narration_stream', '--loaded')
    assert plain
    assert all(sample['conversation'][1]['role'] == 'assistant' for sample in plain)
    assert all(sample['conversation'][1]['role'] == 'user' for sample in loaded)
    assert [s['load_ranges'] for s in plain] == [s['load_ranges'] for s in loaded]


def test_clipping(run):
    samples = run('ego4d_narration_stream', '--max-num-frames', '30')
    assert samples
    for sample in samples:
        frames = sum(m.get('num_frames', 0) for m in sample['conversation'])
        ((first, end),) = sample['load_ranges'].values()
        assert frames == end - first <= 30


def test_augmentation_depends_on_the_seed_alone(run):
    def contents(seed):
        return run('ego4d_refined_narration_stream', '--augmentation', '--seed', seed)

    assert contents('1') == contents('1')
    assert contents('1') != contents('2')
    assert 'Sorry, the last response is wrong' in json.dumps(contents('1'))


def test_reference_answers_are_not_loaded(run):
    for arguments, role in (
        ((), 'assistant'),
        (('--split', 'test', '--loaded'), 'stream'),
    ):
        samples = run('coin_step', *arguments)
        assert {sample['conversation'][-1]['role'] for sample in samples} == {role}


@pytest.mark.parametrize(
    'arguments, said',
    [
        (['nothing'], "no data set 'nothing'; accepted: ego4d_narration_stream, "),
        (['coin_step', '--split', 'val'], "coin_step has no split 'val'; accepted: train, test"),
        (['coin_step', '--fps', '0'], 'fps must be above 0, not 0'),
        (['coin_step', '--fps', 'nan'], 'fps must be above 0, not nan'),
        (['coin_step', '--root', 'nowhere'], 'no such metadata file'),
    ],
)
def test_a_mistake_is_one_line(run, arguments, said):
    stderr = run(*arguments, expect=1)
    assert stderr.startswith('error: ')
    assert said in stderr
    assert stderr.count('\n') == 1


def test_a_failed_write_leaves_no_file(root, tmp_path):
    (tmp_path / 'file').write_text('')
    result = CliRunner().invoke(
        app, ['robustness', '--root', str(root), '--output', str(tmp_path / 'file' / 'x.json')]
    )
    assert result.exit_code == 1
    assert 'cannot be written' in result.stderr


def test_output_does_not_depend_on_the_hash_seed(root, tmp_path):
    code = (
        'import sys\n'
        'from typer.testing import CliRunner\n'
        'from training.datasets.__main__ import app\n'
        'for name in sys.argv[3:]:\n'
        '    out = f"{sys.argv[2]}/{name}.json"\n'
        '    call = [name, "--root", sys.argv[1], "--output", out, "--augmentation"]\n'
        '    assert CliRunner().invoke(app, call).exit_code == 0\n'
    )
    written = []
    for seed in ('1', '2'):
        out = tmp_path / seed
        subprocess.run(
            [sys.executable, '-c', code, str(root), str(out), *DATASETS],
            check=True,
            cwd=REPOSITORY,
            env=os.environ | {'PYTHONHASHSEED': seed},
        )
        written.append({name: (out / f'{name}.json').read_text() for name in DATASETS})
    assert written[0] == written[1]


def test_it_runs_as_a_module_and_shows_no_traceback(root, tmp_path):
    (root / 'datasets/coin/coin.json').write_text('{"database": {"x": {}}}')
    call = ['training.datasets', 'coin_step', '--root', root, '--output', tmp_path / 'o.json']
    result = subprocess.run(
        [sys.executable, '-m', *call],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        check=False,
    )
    assert result.returncode == 1
    assert result.stdout == ''
    assert result.stderr == f'error: {root}/datasets/coin/coin.json: database.x.class is missing\n'
