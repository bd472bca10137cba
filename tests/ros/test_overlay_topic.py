# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""~/overlay: drawn while somebody watches; what the pictures carry, and for how long."""

import pytest
from sensor_msgs.msg import Image

from tests.ros.graph import S
from vlo_ros.message_header import to_ns
from vlo_ros.ros import overlay_topic
from vlo_ros.ros.convert import to_rgb


@pytest.fixture
def drawn(monkeypatch):
    """What is drawn, in order."""
    drawn, draw = [], overlay_topic.draw_overlay

    def note(image_HWC, overlay):
        drawn.append(overlay)
        return draw(image_HWC, overlay)

    monkeypatch.setattr(overlay_topic, 'draw_overlay', note)
    return drawn


def test_it_is_drawn_only_while_somebody_watches(graph, scenes, drawn):
    node = graph.active_vlo(silence_threshold=0.0)
    has_watchers = node.cameras[0].topics.overlay.has_watchers
    graph.show(scenes[:2])
    assert drawn == []
    pictures = []
    subscription = graph.watcher.create_subscription(Image, 'vlo/overlay', pictures.append, 10)
    graph.wait_for(has_watchers)
    stamps = graph.show(scenes[12:16], 200 * S)
    graph.wait_for(lambda: len(pictures) == 4)
    assert len(drawn) == 4
    assert [to_ns(picture.header.stamp) for picture in pictures] == stamps
    assert {picture.header.frame_id for picture in pictures} == {'eye'}
    assert to_rgb(pictures[0]).shape[1] >= 480
    graph.watcher.destroy_subscription(subscription)
    graph.wait_for(lambda: not has_watchers())
    graph.show(scenes[16:18], 300 * S)
    assert len(drawn) == 4


def test_the_picture_carries_what_the_decision_says(graph, scenes, drawn):
    node = graph.active_vlo(silence_threshold=0.0)
    graph.listen('vlo/overlay', Image)
    graph.wait_for(node.cameras[0].topics.overlay.has_watchers)
    now_ns = node.get_clock().now().nanoseconds
    graph.show(scenes[:1], now_ns)
    graph.show(scenes[1:2], now_ns + 10_000 * S)  # stamped by another clock
    graph.wait_for(lambda: len(drawn) == 2)
    (decision, _), (shown, other_clock) = graph.heard('decision'), drawn
    assert shown.p_silence == decision.silence_probability
    assert shown.silence_threshold == decision.silence_threshold == 0.0
    assert not shown.is_speaking
    latency = decision.latency
    assert shown.latency_s == pytest.approx(latency.sec + latency.nanosec / S)
    assert shown.latency_s > 0
    assert other_clock.latency_s is None


def test_a_caption_leaves_the_picture_after_some_seconds(graph, scenes, drawn):
    node = graph.active_vlo(silence_threshold=1.01)
    graph.listen('vlo/overlay', Image)
    graph.wait_for(node.cameras[0].topics.overlay.has_watchers)
    graph.show(scenes[:1])
    (response,) = graph.wait_for(lambda: graph.heard('response'))
    node.cameras[0].stream.configure(silence_threshold=0.0)
    graph.show(scenes[1:4], 101 * S, fps=0.4)  # 1.0, 3.5 and 6.0 s after it was said
    graph.wait_for(lambda: len(drawn) == 4)
    assert [overlay.caption for overlay in drawn] == ['', response.text, response.text, '']
