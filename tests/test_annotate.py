# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The annotated copy holds all of the bag, and what the model made of it, for any bag tool."""

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
from rosbags.rosbag2 import Reader, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from vlo_ros import annotate
from vlo_ros.annotate import judge, write_annotated
from vlo_ros.checkpoint import load_model
from vlo_ros.config import load_config
from vlo_ros.errors import SourceError
from vlo_ros.events import Query
from vlo_ros.message_definitions import RESPONSE, message_types
from vlo_ros.replay import replay
from vlo_ros.sampling import Sampler
from vlo_ros.sources.bag import BagRecording

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = ROOT / 'tests' / 'golden' / 'live1plus'
S = 1_000_000_000
START = 1_700_000_000 * S
TYPES = get_typestore(Stores.LATEST)
PLUGINS = {'mcap': StoragePlugin.MCAP, 'sqlite3': StoragePlugin.SQLITE3}


@pytest.fixture(scope='module')
def setup():
    config = load_config(GOLDEN / 'model.yaml')
    return load_model(config.model), config.stream


def time(stamp_ns):
    sec, nanosec = divmod(stamp_ns, S)
    return TYPES.types['builtin_interfaces/msg/Time'](sec=sec, nanosec=nanosec)


def write_bag(path, storage='mcap', zero_stamps=False):
    """40 images at 4 Hz, recorded 10 ms after capture, with text in between."""
    frames = np.load(GOLDEN / 'frames.npz')['frames'][::3].transpose(0, 2, 3, 1)[:40]
    image_type, text_type = 'sensor_msgs/msg/Image', 'std_msgs/msg/String'
    with Writer(path, version=9, storage_plugin=PLUGINS[storage]) as writer:
        images = writer.add_connection('/camera/image_raw', image_type, typestore=TYPES)
        texts = writer.add_connection('/notes', text_type, typestore=TYPES)
        for index, image in enumerate(frames):
            stamp = START + index * S // 4
            header = TYPES.types['std_msgs/msg/Header'](
                stamp=time(0 if zero_stamps else stamp), frame_id='eye'
            )
            message = TYPES.types[image_type](
                header=header,
                height=image.shape[0],
                width=image.shape[1],
                encoding='rgb8',
                is_bigendian=0,
                step=image.shape[1] * 3,
                data=np.ascontiguousarray(image).reshape(-1),
            )
            log_ns = stamp + S // 100
            writer.write(images, log_ns, TYPES.serialize_cdr(message, image_type))
            note = TYPES.types[text_type](data=f'note {index}')
            writer.write(texts, log_ns + 1, TYPES.serialize_cdr(note, text_type))
    return path


def annotated(bag, output, setup, queries=(), **options):
    recording = BagRecording(bag, None)
    judgements = judge(recording, list(queries), *setup)
    threshold = setup[1].silence_threshold
    counts = write_annotated(bag, recording.topic, output, judgements, threshold, **options)
    return judgements, counts


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


def test_the_overlay_shows_the_caption_while_it_is_new(tmp_path, setup):
    bag = write_bag(tmp_path / 'bag')
    judgements, _ = annotated(bag, tmp_path / 'out', setup)
    first_said = next(i for i, judgement in enumerate(judgements) if judgement.responses)
    pictures = [
        cv2.imdecode(message.data, cv2.IMREAD_COLOR)
        for _, message in read(tmp_path / 'out')['/vlo/overlay/compressed']
    ]
    height = pictures[0].shape[0]
    dark = [picture[-height // 12 :].mean() for picture in pictures]
    assert dark[first_said] < 90 < max(dark[:first_said] or [255])


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
