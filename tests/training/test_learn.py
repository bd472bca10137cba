# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`vlo learn` from bags to a model YAML, on a tiny model; what it learns is its own notes."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from safetensors.torch import load_file
from typer.testing import CliRunner

from tests.recordings import START_NS, stamps, write_bag
from tests.training.killed import check_killed_equals_whole
from training.learn import learn
from training.noted_recordings import LearnSettings, encode, split_conversations
from training.preprocess.jobs import find_jobs
from vlo_ros.checkpoint import load_model
from vlo_ros.cli import app
from vlo_ros.config import load_config
from vlo_ros.errors import ConfigError, SourceError
from vlo_ros.rendered_world import Episode
from vlo_ros.rendered_world.bag import write_bag as write_rendered_bag

ROOT = Path(__file__).parents[2]
MODEL_YAML = ROOT / 'tests' / 'golden' / 'live1plus' / 'model.yaml'


@pytest.fixture(scope='module')
def bag(tmp_path_factory) -> Path:
    """Half a minute of the rendered world with its narrations as notes."""
    folder = tmp_path_factory.mktemp('bags') / 'kitchen'
    write_rendered_bag(folder, Episode(3, 'pairs'), 30.0, 32)
    return folder


def settings(output: Path, **changes) -> LearnSettings:
    config = load_config(MODEL_YAML, device='cpu')
    changes = {'steps': 12, 'batch': 2, 'window': 16, 'rank': 4, 'threads': 1, **changes}
    return LearnSettings(config, output, **changes)


def test_a_model_learns_from_a_bag_and_the_node_can_load_it(bag, tmp_path):
    output = tmp_path / 'out'
    result = learn([bag], [], settings(output, learning_rate=3e-3), Console(quiet=True))
    assert result == json.loads((output / 'learn.json').read_text())
    threshold = '0.0'
    before, after = (result[name]['teacher_forced'][threshold] for name in ('before', 'after'))
    assert after['lm_ppl'] < 0.9 * before['lm_ppl']
    config = load_config(result['model'])
    assert config.stream.instruction and config.model.adapter
    load_model(config.model)
    samples = [json.loads((output / name).read_text()) for name in ('train.json', 'test.json')]
    with pytest.raises(ConfigError, match=r'other settings: train\.learning_rate; name'):
        learn([bag], [], settings(output, learning_rate=1e-3), Console(quiet=True))
    with pytest.raises(ConfigError, match=r'train\.json: begun with other recordings, notes'):
        learn([bag], [], settings(output, learning_rate=3e-3, holdout=0.5), Console(quiet=True))
    ranges = [next(iter(one[0]['load_ranges'].values())) for one in samples]
    assert ranges == [[0, 45], [45, 60]]


@pytest.mark.timeout(900)  # programs start slowly on a busy machine
def test_learning_killed_at_any_moment_ends_the_same(bag, tmp_path):
    output = tmp_path / 'out'
    output.mkdir()
    arguments = [
        'learn', str(bag), '--output', str(output), '--model', str(MODEL_YAML), '--device', 'cpu',
        '--steps', '2', '--batch', '1', '--window', '8', '--rank', '2', '--threads', '1',
    ]  # fmt: skip

    def whole():
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, result.output

    def result():
        learned = json.loads((output / 'learn.json').read_text())
        del learned['minutes'], learned['training']
        for scores in (learned['before'], learned['after']):
            del scores['wall_clock']  # the only one that a clock has a say in
        tensors = load_file(output / 'model' / 'adapter_model.safetensors')
        return learned, {name: value.flatten().tolist() for name, value in tensors.items()}

    check_killed_equals_whole(output, 'vlo_ros', arguments, whole, result)


def test_a_model_that_answers_from_notes_with_questions(tmp_path):
    bag = write_bag(tmp_path / 'bag', 'mcap', stamps(100))
    with (tmp_path / 'bag.csv').open('w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(['time', 'question', 'text'])
        for second in range(1, 10):
            writer.writerow([second, 'Who?' if second % 2 else '', f'number {second}'])
    made = settings(tmp_path / 'out')
    (recorded,) = encode(_jobs(bag), made)
    assert len(recorded.placed) == 9 and recorded.num_unplaced == 0
    assert next(iter(recorded.placed.values())).stamp_ns == START_NS + 10**9
    split_conversations([recorded], set(), made, 'tell')
    train = json.loads((made.output / 'train.json').read_text())
    roles = [message['role'] for message in train[0]['conversation']]
    assert roles.count('user') == 1 + 4 and roles.count('assistant') == 7


def test_named_recordings_are_scored_and_the_others_learned_from(tmp_path):
    bags = []
    for name in ('first', 'second'):
        bags.append(write_bag(tmp_path / name, 'mcap', stamps(40)))
        (tmp_path / f'{name}.csv').write_text('time,text\n1,one\n3,three\n')
    made = settings(tmp_path / 'out')
    recorded = encode(_jobs(*bags), made)
    split_conversations(recorded, {'second'}, made, 'tell')
    for file, name in (('train.json', 'first'), ('test.json', 'second')):
        (sample,) = json.loads((made.output / file).read_text())
        ((path, frames),) = sample['load_ranges'].items()
        assert Path(path).stem == name and frames == [0, 8]


def test_without_notes_it_says_where_they_may_be(tmp_path):
    bag = write_bag(tmp_path / 'bag', 'mcap', stamps(40))
    with pytest.raises(SourceError, match='topic /notes'):
        encode(_jobs(bag), settings(tmp_path / 'out'))
    (tmp_path / 'bag.csv').write_text('time,text\n1000,far behind the end\n')
    with pytest.raises(SourceError, match='none of its 1 notes is within its frames'):
        encode(_jobs(bag), settings(tmp_path / 'out'))


def test_a_holdout_that_leaves_nothing_is_refused(tmp_path):
    with pytest.raises(ConfigError, match='--holdout'):
        settings(tmp_path, holdout=1.0)


def test_the_command_line_hands_over(tmp_path):
    result = CliRunner().invoke(app, ['learn', '--help'])
    assert result.exit_code == 0, result.output
    assert '--notes-topic' in result.output
    missing = [str(tmp_path / 'none'), '--output', str(tmp_path), '--model', str(MODEL_YAML)]
    result = CliRunner().invoke(app, ['learn', *missing])
    assert result.exit_code == 1
    assert 'no such file or folder' in result.output


def test_the_core_says_what_is_missing_without_the_training_programs(tmp_path):
    code = (
        "import sys; sys.modules['training'] = None\n"
        "from vlo_ros.cli import app; app(['learn', 'bag'])"
    )
    done = subprocess.run(
        [sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert 'learn needs training' in done.stderr


def _jobs(*bags: Path):
    return find_jobs(bags)
