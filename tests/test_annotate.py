# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The annotated copy holds all of the bag, and what the model made of it, for any bag tool."""

import dataclasses
import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import Reader, Writer

from tests.annotated_bags import GOLDEN, PLUGINS, START, S, annotated, write_bag
from vlo_ros import annotate
from vlo_ros.annotate import judge, write_annotated
from vlo_ros.checkpoint import load_model
from vlo_ros.config import load_config
from vlo_ros.errors import SourceError
from vlo_ros.events import Query
from vlo_ros.message_definitions import RESPONSE, message_types
from vlo_ros.overlay import CAPTION_S
from vlo_ros.replay import replay
from vlo_ros.sampling import Sampler
from vlo_ros.sources.bag import BagRecording

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope='module')
def setup():
    config = load_config(GOLDEN / 'model.yaml')
    return load_model(config.model), config.stream


def read(bag):
    """Messages by topic as a tool reads them that knows only what is inside the bag."""
    found = {}
    with AnyReader([bag]) as reader:
        for connection, log_ns, data in reader.messages():
            message = reader.deserialize(data, connection.msgtype)
            found.setdefault(connection.topic, []).append((log_ns, message))
    return found


@pytest.mark.parametrize('storage', PLUGINS)
def test_the_copy_holds_the_bag_and_what_replay_says(tmp_path, setup, storage):
    bag = write_bag(tmp_path / 'bag', storage)
    queries = [Query(3 * S, 'What am I doing?')]
    _, counts = annotated(bag, tmp_path / 'out', setup, queries, storage=storage)
    found = read(tmp_path / 'out')

    frames = BagRecording(bag, None).frames(Sampler(setup[1].frame_fps))
    events = list(replay(frames, queries, *setup))
    decided = [event for event in events if event['kind'] == 'frame']
    said = [event for event in events if event['kind'] == 'response']
    assert said and len({event['decision'] for event in decided}) > 1
    assert (counts.decisions, counts.responses) == (len(decided), len(said))
    assert counts.copied == 80

    stamps = []
    for event, (log_ns, decision) in zip(decided, found['/vlo/decision'], strict=True):
        stamp = decision.header.stamp.sec * S + decision.header.stamp.nanosec
        stamps.append(stamp)
        assert stamp - START == round(event['time'] * S)
        assert log_ns == stamp + S // 100
        assert decision.frame_index == event['index']
        assert decision.header.frame_id == 'eye'
        assert decision.silence_probability == pytest.approx(event['p_silence'], abs=1e-6)
    for event, (_, response) in zip(said, found['/vlo/response'], strict=True):
        assert response.text == event['text'].strip()
        assert response.trigger == (event['trigger'] == 'query')
        assert response.header.stamp.sec * S + response.header.stamp.nanosec in stamps
    assert len(found['/vlo/overlay/compressed']) == len(decided)


@pytest.mark.parametrize('storage', PLUGINS)
def test_everything_that_was_there_is_there_byte_for_byte(tmp_path, setup, storage):
    bag = write_bag(tmp_path / 'bag', 'mcap')
    annotated(bag, tmp_path / 'out', setup, storage=storage)

    def raw(path):
        with Reader(path) as reader:
            return [
                (connection.topic, connection.msgtype, log_ns, bytes(data))
                for connection, log_ns, data in reader.messages()
                if not connection.topic.startswith('/vlo/')
            ]

    assert raw(tmp_path / 'out') == raw(bag)


def test_the_definitions_are_inside(tmp_path, setup):
    bag = write_bag(tmp_path / 'bag')
    annotated(bag, tmp_path / 'out', setup)
    types = message_types()
    with Reader(tmp_path / 'out') as reader:
        (connection,) = [c for c in reader.connections if c.topic == '/vlo/response']
        assert connection.digest == types.hash_rihs01(RESPONSE)
        assert 'uint8 STATE_CANCELLED=3' in connection.msgdef.data
        assert 'MSG: std_msgs/Header' in connection.msgdef.data


def test_an_answer_from_before_the_first_frame_stands_behind_it(tmp_path, setup):
    bag = write_bag(tmp_path / 'bag')
    queries = [Query(-S, 'What will I do?')]
    judgements, counts = annotated(bag, tmp_path / 'out', setup, queries)
    assert judgements[0].responses[0]['query'] == 'What will I do?'
    response = read(tmp_path / 'out')['/vlo/response'][0][1]
    assert response.query_id == 'What will I do?'
    assert response.header.stamp.sec * S + response.header.stamp.nanosec == START
    assert counts.responses == sum(len(judgement.responses) for judgement in judgements)


def test_the_overlay_shows_the_caption_while_it_is_new(tmp_path, setup):
    bag = write_bag(tmp_path / 'bag')
    recording = BagRecording(bag, None)
    judgements = judge(recording, [], *setup)
    said = next(judgement.responses for judgement in judgements if judgement.responses)
    bottoms = []  # without a word, and with one at the fifth image
    for name, responses in (('silent', []), ('speaks', said[:1])):
        told = [
            dataclasses.replace(judgement, responses=responses if number == 4 else [])
            for number, judgement in enumerate(judgements)
        ]
        write_annotated(bag, recording.topic, tmp_path / name, told, 0.5)
        pictures = [
            cv2.imdecode(message.data, cv2.IMREAD_COLOR)
            for _, message in read(tmp_path / name)['/vlo/overlay/compressed']
        ]
        bottoms.append([picture[-len(picture) // 3 :] for picture in pictures])
    ages_s = [(judgement.stamp_ns - judgements[4].stamp_ns) / S for judgement in judgements]
    assert ages_s[0] < 0 and ages_s[-1] > CAPTION_S
    shown = [not np.array_equal(*pair) for pair in zip(*bottoms, strict=True)]
    assert shown == [0 <= age_s <= CAPTION_S for age_s in ages_s]


def test_images_without_stamps_are_annotated_by_the_time_of_recording(tmp_path, setup):
    bag = write_bag(tmp_path / 'bag', zero_stamps=True)
    judgements, counts = annotated(bag, tmp_path / 'out', setup)
    assert counts.decisions == len(judgements) > 10


def test_topics_that_are_there_already_are_not_mixed_up(tmp_path, setup):
    bag = write_bag(tmp_path / 'bag')
    annotated(bag, tmp_path / 'once', setup)
    recording = BagRecording(tmp_path / 'once', '/camera/image_raw')
    with pytest.raises(SourceError, match=r'has a topic /vlo/decision already.*--node'):
        write_annotated(tmp_path / 'once', recording.topic, tmp_path / 'twice', [], 0.5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ['bag', 'once']
    write_annotated(tmp_path / 'once', recording.topic, tmp_path / 'twice', [], 0.5, node='/again')


@pytest.mark.parametrize(
    'error', [OSError(28, 'No space left on device'), sqlite3.OperationalError('disk is full')]
)
def test_a_full_disk_leaves_nothing_behind(tmp_path, setup, monkeypatch, error):
    bag = write_bag(tmp_path / 'bag')
    written = []

    class FullDisk(Writer):
        def write(self, *message):
            written.append(message)
            if len(written) > 20:
                raise error
            super().write(*message)

    monkeypatch.setattr(annotate, 'Writer', FullDisk)
    with pytest.raises(SourceError, match=r'(No space left|disk is full).*nothing is left'):
        annotated(bag, tmp_path / 'out', setup)
    assert [path.name for path in tmp_path.iterdir()] == ['bag']


def test_an_output_that_exists_is_left_alone(tmp_path):
    (tmp_path / 'out').mkdir()
    with pytest.raises(SourceError, match='exists already'):
        write_annotated(tmp_path, '/image', tmp_path / 'out', [], 0.5)


def test_the_commands(tmp_path):
    bag = write_bag(tmp_path / 'bag', 'sqlite3')
    command = [sys.executable, '-m', 'vlo_ros']

    def run(*arguments):
        return subprocess.run(
            [*command, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, check=False
        )

    arguments = ('annotate', bag, '--model', GOLDEN / 'model.yaml', '--output')
    done = run(*arguments, tmp_path / 'out')
    assert done.returncode == 0, done.stderr
    assert '80 messages copied' in done.stderr
    assert list((tmp_path / 'out').glob('*.db3'))
    again = run(*arguments, tmp_path / 'out')
    assert (again.returncode, again.stderr.strip().count('\n')) == (1, 0)
    assert 'exists already' in again.stderr
    # A replay waits for nobody: there is no latency in it to report.
    late = run('latency', tmp_path / 'out', '--json')
    assert late.returncode == 0, late.stderr
    assert json.loads(late.stdout)['rows'] == []
    shutil.rmtree(tmp_path / 'out')
    none = run('latency', bag)
    assert none.returncode == 1 and 'holds no vlo_ros/msg' in none.stderr
