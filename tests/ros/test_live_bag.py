# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A recorded live run beside `vlo annotate` of the same images: what is the same, what is not."""

import numpy as np
import pytest
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import StoragePlugin, Writer
from sensor_msgs.msg import Image

from tests.ros.graph import TINY_MODEL, S
from vlo_ros import msg
from vlo_ros.annotate_command import run_annotate
from vlo_ros.config import load_config
from vlo_ros.image_message import to_rgb
from vlo_ros.message_definitions import message_types
from vlo_ros.message_header import to_ns

HZ, NUM_IMAGES = 4, 48
START_NS = 1_700_000_000 * S
QUESTION, ASKED_S = 'What am I doing?', 5.2
TYPES = message_types()


@pytest.fixture
def bag(scenes, tmp_path):
    """Images at 4 Hz of which the model wants every other one."""
    kinds = TYPES.types
    kind = kinds['sensor_msgs/msg/Image']
    with Writer(tmp_path / 'bag', version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection('/camera', kind.__msgtype__, typestore=TYPES)
        for index in range(NUM_IMAGES):
            pixels = scenes[index * 3 % len(scenes)]
            height, width = pixels.shape[:2]
            stamp_ns = START_NS + index * S // HZ
            stamp = kinds['builtin_interfaces/msg/Time'](*divmod(stamp_ns, S))
            header = kinds['std_msgs/msg/Header'](stamp, f'eye{index % 3}')
            data = np.ascontiguousarray(pixels).reshape(-1)
            image = kind(header, height, width, 'rgb8', 0, 3 * width, data)
            writer.write(connection, stamp_ns, TYPES.serialize_cdr(image, kind.__msgtype__))
    return tmp_path / 'bag'


def serialized_images(bag):
    with AnyReader([bag]) as reader:
        return [bytes(data) for _, _, data in reader.messages()]


def read(bag):
    """Messages by topic."""
    found = {}
    with AnyReader([bag], default_typestore=TYPES) as reader:
        for connection, _, data in reader.messages():
            message = reader.deserialize(data, connection.msgtype)
            found.setdefault(connection.topic, []).append(message)
    return found


def origin(message):
    return to_ns(message.header.stamp), message.header.frame_id


class Recorder:
    """Subscribes as `ros2 bag record` does: what comes is kept as it came."""

    def __init__(self, graph):
        self.graph, self.kept = graph, []

    def listen(self, topic, kind, type_name):
        def keep(data):
            now_ns = self.graph.watcher.get_clock().now().nanoseconds
            self.kept.append((topic, type_name, now_ns, bytes(data)))

        self.graph.watcher.create_subscription(kind, topic.lstrip('/'), keep, 1000, raw=True)

    def count(self, topic):
        return sum(kept[0] == topic for kept in self.kept)

    def write(self, path):
        with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
            connections = {}
            for topic, type_name, now_ns, data in self.kept:
                if topic not in connections:
                    connections[topic] = writer.add_connection(topic, type_name, typestore=TYPES)
                writer.write(connections[topic], now_ns, data)


def record_live_run(graph, bag, path, num_judged, num_said):
    """Play a bag to a node, ask the question, and write what the node says to another."""
    topic = f'qos_overrides.{graph.namespace}/image.subscription'
    qos = {f'{topic}.reliability': 'reliable', f'{topic}.depth': NUM_IMAGES}
    node = graph.active_vlo(**qos)
    recorder = Recorder(graph)
    recorder.listen('/vlo/decision', msg.Decision, 'vlo_ros/msg/Decision')
    recorder.listen('/vlo/response', msg.Response, 'vlo_ros/msg/Response')
    recorder.listen('/vlo/overlay', Image, 'sensor_msgs/msg/Image')
    graph.wait_for(node.cameras[0].topics.overlay.has_watchers)
    graph.ask(QUESTION, 'mine', START_NS + round(ASKED_S * S))
    graph.wait_for(lambda: node.cameras[0].queries.has_waiting)
    camera = graph.publisher('image', Image)
    for data in serialized_images(bag):
        camera.publish(data)
    graph.wait_for(lambda: recorder.count('/vlo/decision') >= num_judged)
    graph.wait_for(lambda: recorder.count('/vlo/response') >= num_said)
    graph.wait_for(lambda: recorder.count('/vlo/overlay') >= num_judged)
    recorder.write(path)


def test_a_recorded_live_run_holds_what_annotate_writes(graph, bag, tmp_path):
    questions = tmp_path / 'questions.jsonl'
    questions.write_text(f'{{"time": {ASKED_S}, "text": "{QUESTION}"}}\n')
    config = load_config(TINY_MODEL)
    run_annotate(bag, config, tmp_path / 'annotated', questions, None, '/vlo', 'mcap')
    annotated = read(tmp_path / 'annotated')
    decisions, responses = annotated['/vlo/decision'], annotated['/vlo/response']
    record_live_run(graph, bag, tmp_path / 'live', len(decisions), len(responses))
    live = read(tmp_path / 'live')

    assert len(decisions) == NUM_IMAGES // 2
    assert len({decision.verdict for decision in decisions}) > 1
    for heard, written in zip(live['/vlo/decision'], decisions, strict=True):
        assert origin(heard) == origin(written)
        assert heard.frame_index == written.frame_index
        assert heard.verdict == written.verdict
        assert heard.silence_threshold == written.silence_threshold
        assert heard.silence_probability == pytest.approx(written.silence_probability, abs=1e-5)
    assert len(responses) > 2 and {response.trigger for response in responses} == {0, 1}
    for heard, written in zip(live['/vlo/response'], responses, strict=True):
        assert origin(heard) == origin(written)
        for name in ('text', 'reason', 'trigger', 'state', 'sequence', 'num_tokens'):
            assert getattr(heard, name) == getattr(written, name), name
        assert heard.silence_probability == pytest.approx(
            written.silence_probability, abs=1e-5, nan_ok=True
        )

    # What docs/bags.md says is not the same.
    assert {response.query_id for response in live['/vlo/response']} == {'', 'mine'}
    assert {response.query_id for response in responses} == {'', QUESTION}
    for heard, written in zip(live['/vlo/response'], responses, strict=True):
        assert to_ns(heard.finished_stamp) >= to_ns(heard.first_token_stamp) > 0
        assert to_ns(written.finished_stamp) == to_ns(written.first_token_stamp) == 0
    assert all(to_ns(decision.latency) > 0 for decision in live['/vlo/decision'])
    assert all(to_ns(decision.latency) == 0 for decision in decisions)
    pictures = annotated['/vlo/overlay/compressed']
    for heard, written in zip(live['/vlo/overlay'], pictures, strict=True):
        assert origin(heard) == origin(written)
        assert to_rgb(heard).shape == to_rgb(written).shape
