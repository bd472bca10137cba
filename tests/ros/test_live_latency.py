# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`vlo latency --live` reports what the stamps of a running node say."""

import json
import os
import re
import signal
import subprocess
import sys
import threading

from tests.ros.graph import S
from vlo_ros import msg


def start(*arguments):
    return subprocess.Popen(
        [sys.executable, '-m', 'vlo_ros', 'latency', '--live', '--json', *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, 'FORCE_COLOR': '1', 'COLUMNS': '200'},  # it shows what it has so far
    )


def read_until_each_has_five(process):
    """Read the table that it shows until all messages are in it; return what was read."""
    told, full = '', {'to decision', 'to first token', 'to publish'}
    killer = threading.Timer(120, process.kill)
    killer.start()
    while full and (line := process.stderr.readline()):
        told += line
        plain = re.sub(r'\x1b\[[0-9;?]*[A-Za-z]', '', line)
        full -= {name for name in full if re.search(rf'capture {name} +5\b', plain)}
    killer.cancel()
    return told


def test_percentiles_of_what_is_published_meanwhile(graph):
    node = f'{graph.namespace}/vlo'
    process = start('--node', node, '--seconds', '600')
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
    complaint = read_until_each_has_five(process)
    process.send_signal(signal.SIGINT)
    output, rest = process.communicate(timeout=120)
    assert process.returncode == 0, complaint + rest
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
