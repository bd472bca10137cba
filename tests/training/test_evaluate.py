# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The three ways of scoring, on the golden model and toy scenes."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path

import pytest
import torch
from typer import Typer
from typer.testing import CliRunner

from tests.training.golden import GOLDEN, load_golden, load_live
from training.evaluate import evaluate, main, parse_range
from training.free_running import Scene, run, script_of
from training.report import write_csv, write_page
from training.scoring import Said
from vlo_ros.config import StreamConfig
from vlo_ros.errors import ConfigError

app = Typer()
app.command()(main)


def golden_scene(name: str) -> Scene:
    golden, live = load_golden('live1plus'), load_live('live1plus')
    conversation = golden.conversation(name)
    rows = torch.tensor(conversation['frame_index'])
    with torch.no_grad():
        tokens = live.connector(golden.features[rows])
    return Scene(conversation['conversation'], tokens)


def test_script_of_a_conversation() -> None:
    conversation = [
        {'role': 'stream', 'num_frames': 1, 'learn': False},
        {'role': 'user', 'content': 'Narrate.'},
        {'role': 'stream', 'num_frames': 4, 'learn': True},
        {'role': 'assistant', 'content': 'A.', 'learn': True},
        {'role': 'stream', 'num_frames': 2, 'learn': 1},
        {'role': 'user', 'content': 'Why?'},
        {'role': 'assistant', 'content': 'So.', 'learn': True},
    ]
    script = script_of(conversation, fps=2.0)
    assert script.instruction == 'Narrate.'
    assert script.truth == (Said(2.0, 'A.'),)
    assert script.questions == ((6, 'Why?', 'So.'),)


def test_stream_says_what_the_model_learned() -> None:
    """The golden model was trained on these conversations: left alone it repeats most of them."""
    scenes = [golden_scene(name) for name in ('sampled_0', 'sampled_2', 'sampled_4', 'sampled_7')]
    config = StreamConfig(chunk='1')
    result = evaluate(load_live('live1plus'), config, scenes, [0.5])
    assert result['speak_f1_1s'] > 0.6
    assert result['exact'] > 0.6
    assert result['teacher_forced']['0.725']['lm_ppl'] < 1.1
    assert result['num_frames'] > 20
    assert result['sweep'][0]['threshold'] == 0.5
    assert result['wall_clock']['latency_p95_s'] >= result['wall_clock']['latency_p50_s'] > 0


def test_chunks_change_nothing() -> None:
    scene, live = golden_scene('sampled_8'), load_live('live1plus')
    one, many = (run(live, StreamConfig(chunk=chunk), scene) for chunk in ('1', 'auto'))
    assert one.said == many.said
    assert [frame.silent for frame in one.judged] == [frame.silent for frame in many.judged]


def test_slow_encoding_makes_sentences_late() -> None:
    scene, live = golden_scene('sampled_8'), load_live('live1plus')
    slow = run(live, StreamConfig(), dataclasses.replace(scene, encode_s=0.75))
    lateness = [late.time - said.time for late, said in zip(slow.heard, slow.said, strict=True)]
    assert lateness == sorted(lateness)  # frames come every 0.5 s: the backlog grows
    assert lateness[0] >= 0.75
    assert lateness[-1] > lateness[0] + 1


def test_report_files(tmp_path: Path) -> None:
    scenes = [golden_scene('sampled_0')]
    result = evaluate(load_live('live1plus'), StreamConfig(), scenes, [0.3, 0.9])
    result = {'model': 'golden', **json.loads(json.dumps(result))}
    write_csv(result, tmp_path / 'scores.csv')
    write_page(result, tmp_path / 'scores.html')
    rows = list(csv.DictReader((tmp_path / 'scores.csv').read_text().splitlines()))
    ways = [row['way'] for row in rows]
    assert ways == ['teacher_forced', 'teacher_forced', 'self_conditioned', 'wall_clock',
                    'self_conditioned', 'self_conditioned']  # fmt: skip
    page = (tmp_path / 'scores.html').read_text()
    assert page.count('<img') == 2
    assert 'speak_f1_1s' in page


def test_seed_ranges() -> None:
    assert parse_range('3:5') == range(3, 5)
    for text in ('5:3', '3', 'a:b', '3:3', ''):
        with pytest.raises(ConfigError, match='A:B'):
            parse_range(text)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ([], 'give either'),
        (['--world-seeds', '1:2', '--split', 'old'], "'old' is not one of"),
        (['--world-seeds', '2:1'], 'A < B'),
        (['--world-seeds', '1:2', '--sweep', 'a,b'], 'not a list'),
    ],
)
def test_mistakes_are_one_line(options: list[str], message: str) -> None:
    model = str(GOLDEN / 'live1plus' / 'model.yaml')
    result = CliRunner().invoke(app, ['--model', model, *options])
    assert result.exit_code == 1
    assert message in result.output
    assert result.output.count('\n') == 1
