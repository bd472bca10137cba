# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The commands against a real server: files in the published layout, also after kill -9."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.training.killed import check_killed_equals_whole
from training.datasets import build
from training.synthesis.__main__ import app

ROOT = Path(__file__).parents[3]
NOTES = 'datasets/ego4d/v2/annotations'
LIVECHAT = 'goalstep_livechat_trainval_filtered_21k.json'


def run(*arguments: str):
    return CliRunner().invoke(app, list(arguments))


def options(command: str, root: Path, url: str, *more: str) -> list[str]:
    return [command, '--root', str(root), '--model', 'm', '--endpoint', url, *more]


def test_narrations_are_rewritten_and_read_by_the_builder(root, server):
    result = run(*options('refine', root, server.url))
    assert result.exit_code == 0, result.output
    refined = json.loads((root / NOTES / 'refined_narration_stream_train.json').read_text())
    assert refined['b'] == {
        'one': [{'time': 2.0, 'text': 'You lift the lid.'}],
        'two': [{'time': 2.5, 'text': 'You take a cup.'}, {'time': 9.0, 'text': 'You look up.'}],
    }
    assert len(server.bodies) == 4, 'each different narration is asked once'
    samples = build('ego4d_refined_narration_stream', root)
    assert [sample.conversation[1]['content'] for sample in samples] == [
        'You lift the lid.', 'You lift the lid.', 'You take a cup.',
    ]  # fmt: skip


@pytest.mark.parametrize('official', [False, True])
def test_a_narration_that_cannot_be_rewritten(root, server, official):
    server.reply = lambda body: (
        'Sorry.' if 'cup' in body['messages'][-1]['content'] else '[You do it.'
    )
    result = run(*options('refine', root, server.url, *(['--official'] if official else [])))
    assert result.exit_code == 0, result.output
    refined = json.loads((root / NOTES / 'refined_narration_stream_train.json').read_text())
    texts = [line['text'] for line in refined['b']['two']]
    assert texts == (['Not sure what you are doing.'] if official else []) + ['You do it.']
    report = json.loads(
        (root / NOTES / 'refined_narration_stream_train_report/report.json').read_text()
    )
    assert report['tally']['not_rewritten'] == 1


def test_dialogues_are_made_filtered_and_read_by_the_builder(root, server):
    server.reply = leaking_once(server.reply)
    result = run(*options('livechat', root, server.url, '--seed', '3'))
    assert result.exit_code == 0, result.output
    dialogues = json.loads((root / NOTES / LIVECHAT).read_text())
    report = json.loads(
        (root / NOTES / 'goalstep_livechat_trainval_filtered_21k_report/report.json').read_text()
    )
    # Two videos with two lists of steps each, and one of 20 s, which is too short.
    assert report['tally'] == {
        'planned': 50, 'asked': 50, 'not_written': 0, 'too_short': 10, 'leaking': 1, 'kept': 39,
    }  # fmt: skip
    assert len(dialogues) == report['dialogues'] == 39
    assert report['questions'] == 3 * 39
    assert sum(report['question_kinds'].values()) == 3 * 39
    assert report['leak_rate'] == pytest.approx(1 / 50) and report['leak_rate_kept'] == 0
    assert report['seed'] == 3
    assert set(dialogues[0]) == {'video_uid', 'conversation', 'duration'}
    samples = build('ego4d_goalstep_livechat', root)
    assert len(samples) == 39
    page = (
        root / NOTES / 'goalstep_livechat_trainval_filtered_21k_report/report.html'
    ).read_text()
    assert page.count('<img') == 4 and 'responses per minute' in page


def leaking_once(reply):
    state = {'left': 1}

    def answer(body):
        text = reply(body)
        is_long = '96-180' in body['messages'][-1]['content']
        if is_long and state['left']:
            state['left'] = 0
            return text.replace('as you go on.', 'you did it at 42s.', 1)
        return text

    return answer


def test_answers_off_the_skeleton_are_asked_again_with_another_seed(root, server):
    first_seeds = set()

    def reply(body, proper=server.reply):
        key = body['messages'][-1]['content']
        if key not in first_seeds:
            first_seeds.add(key)
            return 'I would rather not.'
        return proper(body)

    server.reply = reply
    result = run(*options('livechat', root, server.url, '--split', 'val'))
    assert result.exit_code == 0, result.output
    report = json.loads(
        (root / NOTES / 'goalstep_livechat_trainval_filtered_21k_report/report.json').read_text()
    )
    assert report['tally']['off_skeleton'] == 10
    assert report['tally']['not_written'] == 0
    seeds = [body['seed'] for body in server.bodies]
    assert len(set(seeds)) == len(seeds) == 20


def test_an_existing_file_is_not_replaced_unasked(root, server):
    path = root / NOTES / LIVECHAT
    path.write_text('[]')
    result = run(*options('livechat', root, server.url))
    assert result.exit_code == 1 and '--overwrite' in result.output
    assert path.read_text() == '[]' and not server.bodies


@pytest.mark.parametrize('command', ['refine', 'livechat'])
def test_missing_annotations_are_one_line(tmp_path, server, command):
    result = run(*options(command, tmp_path, server.url))
    assert result.exit_code == 1
    assert result.output.startswith('error: ') and 'no such annotation file' in result.output


def test_a_killed_run_goes_on_and_ends_the_same(root, server, tmp_path):
    whole = tmp_path / 'whole.json'
    result = run(*options('livechat', root, server.url, '--output', str(whole)))
    assert result.exit_code == 0, result.output
    num_requests = len(server.bodies)

    killed = tmp_path / 'killed' / 'killed.json'
    arguments = options(
        'livechat', root, server.url, '--output', str(killed), '--concurrency', '3'
    )
    del server.bodies[:]
    server.fault = lambda body, count: 'hang' if len(server.bodies) > num_requests // 2 else None
    with subprocess.Popen(
        [sys.executable, '-m', 'training.synthesis', *arguments], cwd=ROOT
    ) as child:
        assert server.hanging.wait(250)
        child.send_signal(signal.SIGKILL)
    assert child.returncode == -signal.SIGKILL
    assert not killed.exists()
    server.released.set()

    kept = len(list((killed.parent / 'synthesis_cache').rglob('*.json')))
    assert num_requests // 2 - 3 <= kept <= num_requests // 2
    del server.bodies[:]
    server.fault = lambda body, count: None
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    assert len(server.bodies) == num_requests - kept, 'what was answered is not asked again'
    assert killed.read_bytes() == whole.read_bytes()


@pytest.mark.timeout(900)  # programs start slowly on a busy machine
@pytest.mark.parametrize('command', ['refine', 'livechat'])
def test_a_run_killed_at_any_moment_ends_the_same(root, server, tmp_path, command):
    folder = tmp_path / 'made'
    folder.mkdir()
    output = folder / 'output.json'
    arguments = options(command, root, server.url, '--output', str(output), '--overwrite')

    def whole() -> None:
        result = run(*arguments)
        assert result.exit_code == 0, result.output

    check_killed_equals_whole(folder, 'training.synthesis', arguments, whole, output.read_bytes)


def test_what_killed_runs_left_behind_is_removed(root, server, tmp_path):
    cache = tmp_path / 'cache' / '8a'
    cache.mkdir(parents=True)
    old, new = cache / '.old.json.1.partial', cache / '.new.json.2.partial'
    for path in (old, new):
        path.write_text('{')
    hours_ago = time.time() - 2 * 3600
    os.utime(old, (hours_ago, hours_ago))
    result = run(*options('refine', root, server.url, '--cache', str(cache.parent)))
    assert result.exit_code == 0, result.output
    assert not old.exists() and new.exists(), 'another run may be writing the new one'
