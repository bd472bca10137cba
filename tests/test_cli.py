# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command line: output, manners, and what it says when something is wrong."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from tests.golden_scenarios import GOLDEN, frame_bank, scenario, write_recording
from tests.recordings import cut, stamps, storage_file, write_bag
from vlo_ros.cli import app

ROOT = Path(__file__).resolve().parents[1]
TINY = GOLDEN / 'live1plus'
OPTIONS = (
    *('--model', '--llm', '--vision', '--adapter', '--variant', '--device', '--dtype'),
    *('--fps', '--threshold', '--max-new-tokens', '--protocol', '--chunk', '--queries'),
    *('--topic', '--output'),
)
MODEL = ('--model', str(TINY / 'model.yaml'), '--device', 'cpu')


def vlo(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def lines_of_failure(result: Result) -> list[str]:
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit)  # anything else would be a traceback
    return [line for line in result.stderr.splitlines() if 'a test model' not in line]


def error_line(result: Result) -> str:
    (line,) = lines_of_failure(result)
    return line


def events_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def small(tmp_path: Path) -> Path:
    rows = scenario('live1plus', 'narrate_t0')['frame_index'][:12]
    np.savez_compressed(tmp_path / 'small.npz', frames=frame_bank('live1plus')[rows])
    return tmp_path / 'small.npz'


@pytest.mark.parametrize(('variant', 'shown'), [('live1plus', 'live1+'), ('live1', 'live1')])
def test_parts_give_the_recorded_stream(variant: str, shown: str, tmp_path: Path) -> None:
    folder, one = GOLDEN / variant, scenario(variant, 'queries_mid_stream')
    recording, queries = write_recording(variant, 'queries_mid_stream', tmp_path)
    output = tmp_path / 'events.jsonl'
    result = vlo(
        'replay', recording, '--llm', folder / 'llm', '--vision', folder / 'vision',
        '--adapter', folder / 'checkpoint', '--variant', shown, '--fps', one['fps'],
        '--threshold', one['threshold'], '--max-new-tokens', one['max_new_tokens'],
        '--queries', queries, '--protocol', 'official', '--chunk', 'auto', '--device', 'cpu',
        '--dtype', 'float32', '--output', output,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert not result.stdout
    for event, expected in zip(events_of(output), one['events'], strict=True):
        if event['kind'] == 'frame':
            assert event['decision'] == expected['decision']
        else:
            assert event['token_ids'] == expected['output_ids']


def test_two_runs_write_the_same_bytes(small: Path, tmp_path: Path) -> None:
    written = []
    for number in range(2):
        output = tmp_path / f'{number}.jsonl'
        assert vlo('replay', small, *MODEL, '-o', output).exit_code == 0
        written.append(output.read_bytes())
    assert written[0] == written[1]
    assert written[0].count(b'\n') == written[0].count(b'"kind"') > 12


def test_stdout_carries_events_and_nothing_else(small: Path) -> None:
    result = vlo('replay', small, *MODEL, '--output', '-')
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert sum(event['kind'] == 'frame' for event in events) == 12
    assert 'its words mean nothing' in result.stderr
    assert '12 frames' in result.stderr


def test_without_output_responses_are_printed(small: Path, tmp_path: Path) -> None:
    queries = tmp_path / 'q.jsonl'
    queries.write_text('{"time": 0, "text": "Please narrate [red]the video[/red]."}\n')
    result = vlo('replay', small, *MODEL, '--queries', queries)
    assert result.exit_code == 0
    assert '0.00 s  ? Please narrate [red]the video[/red].' in result.stdout
    assert '{' not in result.stdout


def test_any_setting_can_be_given(small: Path, tmp_path: Path) -> None:
    output = tmp_path / 'o.jsonl'
    text = 'Please narrate the video in real time.'
    result = vlo('replay', small, *MODEL, '--set', f'instruction={text}', '-o', output)
    assert result.exit_code == 0, result.output
    assert events_of(output)[0]['decision'] == 'query'
    refused = vlo('replay', small, *MODEL, '--set', 'speed=2')
    assert "unknown setting 'speed'" in error_line(refused)


def test_stops_after_so_many_seconds(small: Path, tmp_path: Path) -> None:
    output = tmp_path / 'o.jsonl'
    assert vlo('replay', small, *MODEL, '--seconds', 2, '-o', output).exit_code == 0
    assert [e['time'] for e in events_of(output) if e['kind'] == 'frame'] == [0, 0.5, 1, 1.5, 2]


def test_the_rendered_world_replays(tmp_path: Path) -> None:
    output = tmp_path / 'o.jsonl'
    result = vlo('replay', 'rendered:3', *MODEL, '--seconds', 3, '-o', output)
    assert result.exit_code == 0, result.output
    assert sum(event['kind'] == 'frame' for event in events_of(output)) == 7


@pytest.mark.parametrize('name', ['episode.mp4', 'bag'])
def test_an_episode_is_rendered_as_video_and_as_bag(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    result = vlo('render', '--out', path, '--seed', 3, '--seconds', 2, '--size', 96)
    assert result.exit_code == 0, result.output
    output = tmp_path / 'events.jsonl'
    assert vlo('replay', path, *MODEL, '--fps', '2', '--output', output).exit_code == 0
    frames = [one for one in events_of(output) if one['kind'] == 'frame']
    assert len(frames) == 4
    assert 'exists already' in error_line(vlo('render', '--out', path))


def test_a_video_of_odd_size_is_one_line(tmp_path: Path) -> None:
    assert 'even' in error_line(vlo('render', '--out', tmp_path / 'b.mp4', '--size', 97))


def test_a_damaged_bag_ends_with_one_line_and_what_was_decided(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / 'bag', 'mcap', stamps(100))
    whole, part = tmp_path / 'whole.jsonl', tmp_path / 'part.jsonl'
    assert vlo('replay', bag, *MODEL, '--fps', 10, '-o', whole).exit_code == 0
    cut(storage_file(bag), 0.6)
    summary, said = lines_of_failure(vlo('replay', bag, *MODEL, '--fps', 10, '-o', part))
    decided = [event for event in events_of(part) if event['kind'] == 'frame']
    assert 30 < len(decided) < 100
    assert summary.startswith(f'vlo: {len(decided)} frames, ')
    assert said.startswith(f'vlo: {bag}: damaged after')
    assert f'the {len(decided)} frames before it were judged' in said
    verdicts = [event['decision'] for event in events_of(whole) if event['kind'] == 'frame']
    assert [event['decision'] for event in decided] == verdicts[: len(decided)]


@pytest.mark.parametrize(
    ('arguments', 'says'),
    [
        (('nothing.mcap', *MODEL), 'vlo: nothing.mcap: no such file or folder; accepted:'),
        (('SMALL', '--model', 'none.yaml'), 'model YAML none.yaml: No such file'),
        (('SMALL', '--llm', 'x'), '--vision and --adapter must be given too'),
        (('SMALL', *MODEL, '--llm', 'x'), 'give either --model or --llm'),
        (
            ('SMALL', *MODEL, '--threshold', 7),
            'stream.silence_threshold: 7.0 is outside 0.0 to 1.01',
        ),
        (('SMALL', *MODEL, '--fps', 0), 'stream.frame_fps: 0.0 is outside'),
        (('SMALL', *MODEL, '--chunk', 'x'), "stream.chunk: 'x' is neither 'auto' nor 1 to 256"),
        (('SMALL', *MODEL, '--protocol', 'x'), "'x' is not one of 'template', 'official'"),
        (('SMALL', *MODEL, '--queries', 'none.jsonl'), 'none.jsonl: No such file'),
        (('SMALL', *MODEL, '--topic', '/camera'), '--topic is for bags'),
        (
            ('SMALL', *MODEL, '-o', 'no/such/folder/x.jsonl'),
            '--output no/such/folder/x.jsonl: No such',
        ),
        (
            ('SMALL', '--llm', TINY / 'absent', '--vision', TINY / 'vision', '--adapter', TINY),
            'absent',
        ),
    ],
)
def test_a_mistake_is_one_line(arguments: tuple[object, ...], says: str, small: Path) -> None:
    given = [small if argument == 'SMALL' else argument for argument in arguments]
    assert says in error_line(vlo('replay', *given))


def test_a_bad_query_is_named_before_anything_is_written(small: Path, tmp_path: Path) -> None:
    queries, output = tmp_path / 'q.jsonl', tmp_path / 'o.jsonl'
    queries.write_text('{"time": 0, "text": "?"}\nwhat\n')
    result = vlo('replay', small, *MODEL, '--queries', queries, '-o', output)
    assert f'{queries} line 2: not JSON' in error_line(result)
    assert not output.exists()


def test_debug_shows_where_it_came_from() -> None:
    result = vlo('replay', 'nothing.mcap', *MODEL, '--debug')
    assert result.exit_code == 1
    assert type(result.exception).__name__ == 'SourceError'


def test_help_names_every_option_of_the_design() -> None:
    result = CliRunner().invoke(app, ['replay', '--help'], env={'COLUMNS': '200'})
    for option in OPTIONS:
        assert option in result.stdout
    assert 'live1+ is CLS + 3x3 pooled patches' in result.stdout
    assert vlo('--version').stdout.startswith('vlo 0.')
    assert 'check-model' in vlo('--help').stdout


def run_module(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, '-m', 'vlo_ros', *arguments],
        cwd=ROOT,
        text=True,
        capture_output=True,
        timeout=240,
        **options,
    )


def test_the_module_runs_and_does_not_load_torch_for_help() -> None:
    heavy = {'torch', 'transformers', 'av', 'cv2', 'rosbags'}
    probe = f'import sys, vlo_ros.cli; print(sorted({heavy} & set(sys.modules)))'
    result = subprocess.run(
        [sys.executable, '-c', probe], cwd=ROOT, text=True, capture_output=True, timeout=120
    )
    assert result.stdout.strip() == '[]', result.stderr
    assert 'Usage: vlo' in run_module('--help').stdout
    assert run_module('replay').returncode == 2


def test_a_real_process_says_no_more_than_it_should(small: Path, tmp_path: Path) -> None:
    output = tmp_path / 'o.jsonl'
    result = run_module('replay', str(small), *MODEL, '--output', str(output))
    assert result.returncode == 0, result.stderr
    assert not result.stdout
    assert len(result.stderr.splitlines()) == 2, result.stderr
    assert len(events_of(output)) > 12


def test_a_terminal_gets_a_progress_bar(small: Path, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, '-m', 'vlo_ros', 'replay', str(small), *MODEL, '-o', str(tmp_path / 'o')],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        env={**os.environ, 'TERM': 'xterm', 'COLUMNS': '120'},
    )
    os.close(theirs)
    shown = b''
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # Linux ends a terminal whose other side has closed this way
            break
        if not part:
            break
        shown += part
    os.close(ours)
    assert process.wait(timeout=60) == 0
    assert b'times life' in shown
    assert '\u2501'.encode() in shown
