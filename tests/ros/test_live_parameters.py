# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Parameters set while the node runs: what changes at once, and what at the next reset."""

import dataclasses

import pytest
from rclpy.parameter import Parameter
from std_srvs.srv import Trigger

from tests.ros.endless import endless
from tests.ros.graph import TINY_MODEL, S
from vlo_ros import msg
from vlo_ros.annotate import VERDICTS
from vlo_ros.checkpoint import load_model
from vlo_ros.config import load_config
from vlo_ros.events import Frame
from vlo_ros.replay import replay


def set_parameter(node, name, value):
    (result,) = node.set_parameters([Parameter(name, value=value)])
    assert result.successful, result.reason


def reset(graph):
    service = graph.watcher.create_client(Trigger, 'vlo/reset')
    graph.wait_for(service.service_is_ready)
    future = service.call_async(Trigger.Request())
    graph.wait_for(future.done)
    assert future.result().success


def test_the_threshold_and_the_rate_change_at_once(graph, scenes):
    node = graph.active_vlo(silence_threshold=0.0)
    graph.show(scenes[:3])
    set_parameter(node, 'silence_threshold', 1.01)
    graph.show(scenes[3:6], 200 * S)
    verdicts = [decision.verdict for decision in graph.heard('decision')]
    assert verdicts[:3] == [msg.Decision.VERDICT_SILENT] * 3
    assert verdicts[3:] == [msg.Decision.VERDICT_RESPOND] * 3
    assert graph.heard('decision')[-1].silence_threshold == pytest.approx(1.01)
    set_parameter(node, 'frame_fps', 10.0)
    graph.show(scenes[6:9], 300 * S, fps=10.0)
    assert len(graph.heard('decision')) == 9


def test_the_longest_response_changes_at_once(graph, scenes):
    node = graph.active_vlo(silence_threshold=1.01, max_new_tokens=5)
    limits = (5, 9, 2)
    with endless(node):
        for number, limit in enumerate(limits):
            set_parameter(node, 'max_new_tokens', limit)
            graph.send(scenes[number], (100 + number) * S)
            graph.wait_for(lambda least=number: len(graph.heard('response')) > least)
    responses = graph.heard('response')
    assert [response.num_tokens for response in responses] == list(limits)
    assert {response.state for response in responses} == {msg.Response.STATE_TRUNCATED}


@pytest.mark.parametrize(
    ('name', 'value'),
    [('system_prompt', 'You watch a cook.'), ('instruction', 'Please narrate what I do.')],
)
def test_how_a_stream_begins_changes_at_the_reset_and_not_before(graph, scenes, name, value):
    config = load_config(TINY_MODEL)
    model, shown = load_model(config.model), scenes[:24:3]

    def replayed(**changes):
        """Verdicts and probabilities of a stream that had these settings from its beginning."""
        frames = [Frame(index * S // 2, index, image) for index, image in enumerate(shown)]
        events = replay(frames, [], model, dataclasses.replace(config.stream, **changes))
        decided = [event for event in events if event['kind'] == 'frame']
        return [(VERDICTS[event['decision']], event['p_silence']) for event in decided]

    before, after = replayed(), replayed(**{name: value})
    assert any(abs(old - new) > 1e-3 for (_, old), (_, new) in zip(before, after, strict=True))
    node = graph.active_vlo()
    graph.show(shown[:4])
    set_parameter(node, name, value)
    graph.show(shown[4:], 102 * S)
    reset(graph)
    graph.show(shown, 200 * S)
    judged = [(d.verdict, d.silence_probability) for d in graph.heard('decision')]
    for heard, expected in zip(judged, before + after, strict=True):
        assert heard == pytest.approx(expected, abs=1e-5)
