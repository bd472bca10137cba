# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node is killed in the middle of a sentence, and launch starts it again; real DDS."""

import time
from pathlib import Path

import pytest

from tests.ros import launch_standin
from tests.ros.graph import TINY_MODEL, S
from tests.ros.launching import launched
from tests.ros.live_vlo import ScriptedCamera
from tests.ros.processes import START_S
from vlo_ros import msg
from vlo_ros.message_header import to_ns

AGAIN_NS = 1000 * S  # of the first image after the restart
LAUNCH = Path(__file__).resolve().parents[2] / 'launch'


@pytest.mark.timeout(900)
def test_a_node_killed_in_the_middle_of_a_sentence_comes_back(graph, tmp_path, measured):
    for name in ('faults', 'parameters', 'logs'):
        (tmp_path / name).mkdir()
    slow, no_end = tmp_path / 'faults' / 'slow', tmp_path / 'faults' / 'no_end'
    slow.write_text('0.3')  # the 100 tokens of a sentence without end then take half a minute
    no_end.touch()
    graph.hear()
    context = launch_standin.launch(
        LAUNCH / 'vlo.launch.py',
        tmp_path / 'parameters',
        model=str(TINY_MODEL),
        namespace=graph.namespace,
        threshold='1.01',
    )
    modules = {'vlo_node': 'tests.ros.faulty_vlo'}
    camera = ScriptedCamera(graph)
    try:
        with launched(
            context, tmp_path / 'logs', modules, VLO_TEST_FAULTS=str(tmp_path / 'faults')
        ) as launch:
            wait_until_active(graph)
            show_until(lambda: graph.heard('response/partial'), graph, camera, 100 * S)
            launch.children['vlo_node'].kill()
            launch.children['vlo_node'].wait()
            killed_at, killed_ns = time.monotonic(), graph.watcher.get_clock().now().nanoseconds
            slow.unlink()
            no_end.unlink()
            wait_until_active(graph, killed_ns)
            measured('active again after s', round(time.monotonic() - killed_at, 1))
            show_until(lambda: len(since(graph, 'decision')) >= 2, graph, camera, AGAIN_NS)
            measured('first decision after s', round(time.monotonic() - killed_at, 1))
            graph.ask('What am I doing?', 'again', AGAIN_NS)
            graph.wait_for(lambda: any(r.query_id == 'again' for r in graph.heard('response')))
        judged = [decision.frame_index for decision in since(graph, 'decision')]
        assert judged == list(range(len(judged)))
        # Nobody was told that the broken sentence had come to an end.
        assert graph.heard('response') == since(graph, 'response')
        assert launch.starts == {'vlo_node': 2, 'bring_up': 2}
        assert launch.children['vlo_node'].returncode == 0
        assert launch.children['bring_up'].returncode == 0
        assert 'Traceback' not in launch.log('vlo_node', 2).read_text()
    finally:
        camera.end()


def show_until(done, graph, camera, first_ns):
    """Show images half a second apart: best effort loses what comes before both sides matched."""
    end = time.monotonic() + START_S
    stamp_ns = first_ns
    while not done():
        assert time.monotonic() < end, 'nothing came of what was shown'
        camera.send([{'stamp_ns': stamp_ns}])
        stamp_ns += S // 2
        graph.spin_for(0.2)


def since(graph, name):
    """What was heard of the images after the restart."""
    return [heard for heard in graph.heard(name) if to_ns(heard.header.stamp) >= AGAIN_NS]


def wait_until_active(graph, after_ns=0):
    """Wait for a status of an active node that was published after a moment."""
    active = (
        msg.StreamStatus.STATE_WATCHING,
        msg.StreamStatus.STATE_STALE,
        msg.StreamStatus.STATE_RESPONDING,
    )
    graph.wait_for(
        lambda: any(
            status.state in active and to_ns(status.header.stamp) > after_ns
            for status in graph.heard('status')
        ),
        START_S,
    )
