# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The annotated copy is readable by tools that have nothing of vlo_ros, nor of what wrote it."""

import contextlib
import sqlite3
import struct

import pytest
from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory

from tests.annotated_bags import GOLDEN, S, annotated, write_bag
from vlo_ros.checkpoint import load_model
from vlo_ros.config import load_config
from vlo_ros.events import Query


@pytest.fixture(scope='module')
def setup():
    config = load_config(GOLDEN / 'model.yaml')
    return load_model(config.model), config.stream


def expected_topics(counts):
    """Type and number of messages of every topic in the copy of `write_bag`."""
    return {
        '/camera/image_raw': ('sensor_msgs/msg/Image', 40),
        '/notes': ('std_msgs/msg/String', 40),
        '/vlo/decision': ('vlo_ros/msg/Decision', counts.decisions),
        '/vlo/response': ('vlo_ros/msg/Response', counts.responses),
        '/vlo/overlay/compressed': ('sensor_msgs/msg/CompressedImage', counts.decisions),
    }


def test_sqlite_is_read_by_the_standard_library(tmp_path, setup):
    bag = write_bag(tmp_path / 'bag')
    judgements, counts = annotated(bag, tmp_path / 'out', setup, storage='sqlite3')
    (storage,) = (tmp_path / 'out').glob('*.db3')
    with contextlib.closing(sqlite3.connect(storage)) as database:
        (version,) = database.execute('SELECT schema_version FROM schema').fetchone()
        topics = database.execute(
            'SELECT name, type, serialization_format, COUNT(messages.id) FROM topics '
            'LEFT JOIN messages ON messages.topic_id = topics.id GROUP BY topics.id'
        ).fetchall()
        definitions = dict(
            database.execute(
                'SELECT topics.name, message_definitions.encoded_message_definition FROM topics '
                'JOIN message_definitions ON message_definitions.topic_type = topics.type'
            ).fetchall()
        )
        decided = database.execute(
            'SELECT timestamp, data FROM messages JOIN topics ON topics.id = topic_id '
            "WHERE name = '/vlo/decision' ORDER BY messages.id"
        ).fetchall()
    assert version == 4  # of rosbag2 in Jazzy and Kilted
    assert sorted(topics) == sorted(
        (topic, kind, 'cdr', count) for topic, (kind, count) in expected_topics(counts).items()
    )
    assert 'uint8 VERDICT_QUERY=2' in definitions['/vlo/decision']
    assert 'MSG: std_msgs/Header' in definitions['/vlo/response']
    for judgement, (log_ns, data) in zip(judgements, decided, strict=True):
        assert data[:4] == bytes([0, 1, 0, 0])  # CDR, little-endian
        seconds, nanoseconds = struct.unpack_from('<iI', data, 4)
        assert seconds * S + nanoseconds == judgement.stamp_ns == log_ns - S // 100


def test_mcap_is_read_by_its_own_library(tmp_path, setup):
    bag = write_bag(tmp_path / 'bag')
    queries = [Query(3 * S, 'What am I doing?')]
    judgements, counts = annotated(bag, tmp_path / 'out', setup, queries)
    (storage,) = (tmp_path / 'out').glob('*.mcap')
    with storage.open('rb') as stream:
        reader = make_reader(stream, validate_crcs=True, decoder_factories=[DecoderFactory()])
        assert reader.get_header().profile == 'ros2'
        summary = reader.get_summary()
        said = [
            (message.log_time, response)
            for _, _, message, response in reader.iter_decoded_messages(topics=['/vlo/response'])
        ]
    channels = {
        channel.topic: (
            summary.schemas[channel.schema_id].name,
            summary.statistics.channel_message_counts.get(channel.id, 0),
        )
        for channel in summary.channels.values()
    }
    assert channels == expected_topics(counts)
    assert {channel.message_encoding for channel in summary.channels.values()} == {'cdr'}
    assert {schema.encoding for schema in summary.schemas.values()} == {'ros2msg'}
    events = [
        (judgement.stamp_ns, event) for judgement in judgements for event in judgement.responses
    ]
    for (stamp_ns, event), (log_ns, response) in zip(events, said, strict=True):
        stamp = response.header.stamp
        assert stamp.sec * S + stamp.nanosec == stamp_ns == log_ns - S // 100
        assert response.header.frame_id == 'eye'
        assert response.text == event['text'].strip()
        assert response.query_id == (event['query'] or '')
        assert response.num_tokens == len(event['token_ids'])
