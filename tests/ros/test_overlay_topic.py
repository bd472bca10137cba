# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""~/overlay: what the pictures carry, and for how long."""

from sensor_msgs.msg import Image

from tests.ros.graph import S
from vlo_ros.ros import overlay_topic


def test_a_caption_leaves_the_picture_after_some_seconds(graph, scenes, monkeypatch):
    drawn, draw = [], overlay_topic.draw_overlay

    def note(image_HWC, overlay):
        drawn.append(overlay)
        return draw(image_HWC, overlay)

    monkeypatch.setattr(overlay_topic, 'draw_overlay', note)
    node = graph.active_vlo(silence_threshold=1.01)
    graph.listen('vlo/overlay', Image)
    graph.wait_for(node.cameras[0].topics.overlay.has_watchers)
    graph.show(scenes[:1])
    (response,) = graph.wait_for(lambda: graph.heard('response'))
    node.cameras[0].stream.configure(silence_threshold=0.0)
    graph.show(scenes[1:4], 101 * S, fps=0.4)  # 1.0, 3.5 and 6.0 s after it was said
    graph.wait_for(lambda: len(drawn) == 4)
    assert [overlay.caption for overlay in drawn] == ['', response.text, response.text, '']
