# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Percentiles are those of the stamps; what is no latency is left out and counted."""

import dataclasses

import pytest
from rosbags.rosbag2 import StoragePlugin, Writer

from vlo_ros.errors import SourceError
from vlo_ros.latency import LatencyReport, print_report, read_bag
from vlo_ros.message_definitions import DECISION, RESPONSE, message_types

S = 1_000_000_000
TYPES = message_types()


def time(stamp_ns, kind='Time'):
    sec, nanosec = divmod(stamp_ns, S)
    return TYPES.types[f'builtin_interfaces/msg/{kind}'](sec=sec, nanosec=nanosec)


def header(stamp_ns):
    return TYPES.types['std_msgs/msg/Header'](stamp=time(stamp_ns), frame_id='eye')


def decision(latency_ns):
    return TYPES.types[DECISION](
        header=header(100 * S),
        frame_index=0,
        verdict=0,
        silence_probability=0.9,
        silence_threshold=0.7,
        latency=time(latency_ns, 'Duration'),
    )


def response(first_ns, finished_ns, trigger=0, state=1):
    return TYPES.types[RESPONSE](
        header=header(100 * S),
        text='x',
        query_id='',
        reason='',
        trigger=trigger,
        state=state,
        sequence=0,
        silence_probability=0.1,
        first_token_stamp=time(first_ns),
        finished_stamp=time(finished_ns),
        num_tokens=1,
    )


def rows(report):
    return {(row['stream'], row['latency']): row for row in report.rows()}


def test_percentiles_of_decisions():
    report = LatencyReport()
    for number in range(1, 101):
        report.add_decision('/vlo', decision(number * S // 1000))
    row = rows(report)['/vlo', 'capture to decision']
    assert row['count'] == 100
    assert (row['p50'], row['p95'], row['max']) == pytest.approx((0.0505, 0.09505, 0.1))


def test_responses_and_answers_are_kept_apart():
    report = LatencyReport()
    report.add_response('/vlo', response(100 * S + S // 10, 101 * S))
    report.add_response('/vlo', response(102 * S, 103 * S, trigger=1))
    found = {name: row['p50'] for (_, name), row in rows(report).items()}
    assert found == pytest.approx(
        {
            'capture to first token': 0.1,
            'capture to publish': 1.0,
            'last frame to first token of an answer': 2.0,
            'last frame to end of an answer': 3.0,
        }
    )


def test_what_is_no_latency_is_left_out():
    report = LatencyReport()
    report.add_decision('/vlo', decision(0))  # a replay
    report.add_decision('/vlo', decision(2_000_000_000 * S))  # another clock
    report.add_response('/vlo', response(0, 0))
    report.add_response('/vlo', response(0, 0, state=0))  # a partial tells nothing, nor is it lost
    report.add_response('/vlo', response(0, 0, state=3))
    assert report.rows() == []
    assert report.num_left_out == 4


def test_streams_of_a_bag_are_kept_apart(tmp_path, capsys):
    with Writer(tmp_path / 'bag', version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        for camera, latency in (('left', S), ('right', 2 * S)):
            topic = writer.add_connection(f'/vlo/{camera}/decision', DECISION, typestore=TYPES)
            writer.write(topic, 1, TYPES.serialize_cdr(decision(latency), DECISION))
    report = read_bag(tmp_path / 'bag')
    assert rows(report)['/vlo/left', 'capture to decision']['p99'] == 1.0
    assert rows(report)['/vlo/right', 'capture to decision']['p99'] == 2.0
    print_report(report, as_json=False)
    assert '/vlo/right' in (printed := capsys.readouterr().out) and '2000' in printed


def test_a_file_that_is_no_bag_is_one_line(tmp_path):
    (tmp_path / 'x.mcap').write_bytes(b'nothing')
    with pytest.raises(SourceError, match='cannot be read') as caught:
        read_bag(tmp_path / 'x.mcap')
    assert '\n' not in str(caught.value)


def test_the_message_definitions_are_those_of_the_checkout():
    fields = {spec.name for spec in dataclasses.fields(TYPES.types[RESPONSE])}
    assert {'first_token_stamp', 'finished_stamp', 'reason'} <= fields
