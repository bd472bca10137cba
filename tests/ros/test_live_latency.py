# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`vlo latency --live` reports what the stamps of a running node say."""

import json
import subprocess
import sys

from vlo_ros import msg

S = 1_000_000_000


def start(*arguments):
    return subprocess.Popen(
        [sys.executable, '-m', 'vlo_ros', 'latency', '--live', '--json', *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_percentiles_of_what_is_published_meanwhile(graph):
    node = f'{graph.namespace}/vlo'
    process = start('--node', node, '--seconds', '6')
    decisions = graph.publisher('vlo/decision', msg.Decision)
    responses = graph.publisher('vlo/response', msg.Response)
    for tenths in range(1, 6):
        decision = msg.Decision()
        decision.latency.nanosec = tenths * S // 10
        decisions.publish(decision)
        response = msg.Response(state=msg.Response.STATE_FINISHED)
        response.header.stamp.sec = response.first_token_stamp.sec = 100
        response.first_token_stamp.nanosec = tenths * S // 10
        response.finished_stamp.sec = 101
        responses.publish(response)
    output, complaint = process.communicate(timeout=120)
    assert process.returncode == 0, complaint
    rows = {row['latency']: row for row in json.loads(output)['rows']}
    assert {row['stream'] for row in rows.values()} == {node}
    assert {name: (row['count'], round(row['p50'], 3)) for name, row in rows.items()} == {
        'capture to decision': (5, 0.3),
        'capture to first token': (5, 0.3),
        'capture to publish': (5, 1.0),
    }


def test_silence_on_the_topics_is_said_and_is_a_failure(graph):
    process = start('--node', f'{graph.namespace}/nobody', '--seconds', '0.5')
    output, complaint = process.communicate(timeout=120)
    assert process.returncode == 1
    assert json.loads(output)['rows'] == []
    assert 'nothing was heard' in complaint and 'Traceback' not in complaint
