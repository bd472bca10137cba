# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""/diagnostics on the live graph: good days, bad ones, and good ones again."""

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

from tests.ros.graph import S, black_image

# So high or low that nothing a busy machine does to a test is worth a warning.
CALM = {
    'stale_after': 300.0,
    'warn_latency': 3000.0,
    'error_latency': 3000.0,
    'warn_fps': 0.0,
    'error_fps': 0.0,
}


@pytest.fixture
def told(graph):
    """Whether the node's entry is told from now on with a level and words in its message."""
    arrays = graph.listen('/diagnostics', DiagnosticArray)
    name = f'{graph.namespace}/vlo: '

    def wait_for(level, words):
        seen = len(arrays)
        return graph.wait_for(
            lambda: next(
                (
                    status
                    for array in arrays[seen:]
                    for status in array.status
                    if status.name.startswith(name)
                    and status.level == level
                    and words in status.message
                ),
                None,
            )
        )

    return wait_for


def test_good_days_are_told_from_bad(graph, scenes, told):
    node = graph.vlo(**{**CALM, 'stale_after': 3.0})
    assert told(DiagnosticStatus.OK, 'unconfigured').message == 'unconfigured'
    graph.hear()
    node.trigger_configure()
    node.trigger_activate()
    graph.show(scenes[:2], start_ns=node.get_clock().now().nanoseconds - S)
    told(DiagnosticStatus.ERROR, 'no images')
    graph.show(scenes[2:3], start_ns=node.get_clock().now().nanoseconds)
    status = told(DiagnosticStatus.OK, 'watching')
    assert status.message == 'watching'
    values = {pair.key: pair.value for pair in status.values}
    assert values['frames_judged'] == '3'
    assert float(values['decision_latency_p95']) >= 0
    assert {'cache_tokens', 'backlog_frames', 'device', 'model'} <= set(values)


def test_a_failed_configure_is_told(graph, told):
    node = graph.vlo(model='/nowhere.yaml')
    node.trigger_configure()
    assert told(DiagnosticStatus.ERROR, '/nowhere.yaml').name == f'{graph.namespace}/vlo: node'


def test_what_was_reported_is_a_warning_for_a_while_and_then_no_more(graph, scenes, told):
    node = graph.active_vlo(**CALM, warn_for=3.0)
    graph.show(scenes[:1])
    told(DiagnosticStatus.OK, 'watching')
    defective = black_image(encoding='32FC1')
    defective.header.stamp.sec = 200
    graph.deliver(node, defective)
    told(DiagnosticStatus.WARN, 'encoding is not read')
    told(DiagnosticStatus.OK, 'watching')
    known = len(graph.heard('status'))
    graph.wait_for(lambda: len(graph.heard('status')) > known)
    assert 'encoding is not read' in graph.heard('status')[-1].last_error


def test_a_camera_slower_than_wanted_is_a_warning(graph, scenes, told):
    graph.active_vlo(**{**CALM, 'warn_fps': 0.8}, frame_fps=100.0)
    graph.show(scenes[:1])
    assert told(DiagnosticStatus.WARN, 'images/s arrive').message.startswith('only ')
