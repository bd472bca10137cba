# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A namespace of its own on the live graph, to start nodes in and to watch them from."""

import contextlib
import itertools
import os
import threading
import time
from pathlib import Path

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image

from vlo_ros import msg
from vlo_ros.ros.convert import image_message_of
from vlo_ros.ros.lanes import LanesExecutor
from vlo_ros.ros.vlo_node import VloNode

GOLDEN = Path(__file__).parents[1] / 'golden'
TINY_MODEL = GOLDEN / 'live1plus' / 'model.yaml'
S = 1_000_000_000
TIMEOUT_S = 60.0
_numbers = itertools.count()


class Graph:
    """A namespace of its own, a node to watch from, and whatever nodes a test starts in it."""

    def __init__(self):
        self.namespace = f'/t{os.getpid()}_{next(_numbers)}'
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.watcher = rclpy.create_node('watcher', context=self.context, namespace=self.namespace)
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.watcher)
        self._cleanup = contextlib.ExitStack()
        self._heard = {}
        self._publishers = {}

    # -- nodes -----------------------------------------------------------------------------

    def start(self, node):
        """Spin a node on the executor that it has in life."""
        executor = LanesExecutor(context=self.context)
        executor.add_node(node)
        is_over = threading.Event()

        def spin():  # not executor.spin: shutdown from outside races with its worker threads
            while not is_over.is_set():
                executor.spin_once(timeout_sec=0.2)

        thread = threading.Thread(target=spin)
        thread.start()

        def stop():
            for camera in getattr(node, 'cameras', ()):
                camera.close()
            is_over.set()
            executor.wake()
            thread.join()
            executor.shutdown()
            node.destroy_node()

        self._cleanup.callback(stop)
        return node

    def vlo(self, **parameters):
        """Start the node `vlo`, unconfigured; `model__device` stands for model.device."""
        overrides = {'model': str(TINY_MODEL), **parameters}
        return self.start(
            VloNode(
                context=self.context,
                namespace=self.namespace,
                parameter_overrides=[
                    Parameter(name.replace('__', '.'), value=value)
                    for name, value in overrides.items()
                ],
            )
        )

    def active_vlo(self, **parameters):
        """Start the node `vlo` and activate it, its topics heard.

        However long the machine stands still, no camera is taken for a silent one, unless a test
        says after how many seconds it is.
        """
        node = self.vlo(**{'stale_after': 300.0, **parameters})
        for name in parameters.get('cameras', ['']):
            self.hear(name)
        assert node.trigger_configure().name == 'SUCCESS'
        assert node.trigger_activate().name == 'SUCCESS'
        return node

    def close(self):
        self._cleanup.close()
        self._executor.shutdown()
        self.watcher.destroy_node()
        rclpy.try_shutdown(context=self.context)

    # -- hearing ---------------------------------------------------------------------------

    def hear(self, camera=''):
        prefix = f'vlo/{camera}/' if camera else 'vlo/'
        for name, kind in (
            ('response', msg.Response),
            ('response/partial', msg.Response),
            ('decision', msg.Decision),
            ('status', msg.StreamStatus),
        ):
            self.listen(f'{prefix}{name}', kind)

    def listen(self, topic, kind):
        messages = self._heard.setdefault(topic, [])
        self.watcher.create_subscription(kind, topic, messages.append, QoSProfile(depth=1000))
        return messages

    def heard(self, name, camera=''):
        """Messages heard on ~/name of the node."""
        return self._heard[f'vlo/{camera}/{name}' if camera else f'vlo/{name}']

    def wait_for(self, condition, timeout_s=TIMEOUT_S):
        """Spin until `condition()` holds and return what it gave; fail after a while."""
        end = time.monotonic() + timeout_s
        while not (value := condition()):
            self._executor.spin_once(timeout_sec=0.05)
            if time.monotonic() > end:
                raise AssertionError(f'nothing came within {timeout_s} s')
        return value

    def spin_too(self, node):
        """Have `wait_for` spin another node as well."""
        self._executor.add_node(node)

    def spin_for(self, seconds):
        """Spin for a while, where the point is that something does not happen."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)

    # -- speaking --------------------------------------------------------------------------

    def publisher(self, topic, kind, depth=1000):
        """A publisher that somebody subscribes to by the time it is returned."""
        if topic not in self._publishers:
            publisher = self.watcher.create_publisher(kind, topic, QoSProfile(depth=depth))
            self._publishers[topic] = publisher
            self.wait_for(publisher.get_subscription_count)
        return self._publishers[topic]

    def send(self, rgb, stamp_ns, frame_id='eye', topic='image'):
        self.send_message(image_message_of(rgb, stamp_ns, frame_id), topic)

    def send_message(self, message, topic='image'):
        self.publisher(topic, type(message)).publish(message)

    def deliver(self, node, message, topic='image'):
        """Send a message and wait until the node's receive lane has dealt with it."""
        camera = node.cameras[0]
        subscription = camera.images._subscription
        before = camera.statistics.frames_received
        self.send_message(message, topic)
        self.wait_for(
            lambda: (
                camera.statistics.frames_received > before
                and subscription.callback_group.can_execute(subscription)
            )
        )

    def show(self, scenes, start_ns=100 * S, fps=2.0, topic='image', camera='', frame_id='eye'):
        """Send one frame after the other, each when the one before is judged; return stamps."""
        stamps = []
        for index, scene in enumerate(scenes):
            stamps.append(start_ns + round(index * S / fps))
            before = len(self.heard('decision', camera))
            self.send(scene, stamps[-1], frame_id, topic)
            self.wait_for(lambda before=before: len(self.heard('decision', camera)) > before)
        return stamps

    def ask(self, text, query_id='', stamp_ns=0, camera=''):
        query = msg.Query(text=text, query_id=query_id)
        query.stamp.sec, query.stamp.nanosec = divmod(stamp_ns, S)
        self.send_message(query, f'vlo/{camera}/query' if camera else 'vlo/query')


def black_image(**fields):
    """An Image message, defective in what `fields` say."""
    values = {'width': 8, 'height': 6, 'encoding': 'rgb8', 'step': 24, 'data': bytes(144)}
    return Image(**{**values, **fields})


def errors_of(captured):
    """Lines that a node logged as errors or warnings."""
    return [line for line in captured.err.splitlines() if '[ERROR]' in line or '[WARN]' in line]
