# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Looks at the live graph for `vlo doctor`, in a process of its own, and prints facts as JSON.

    python -m vlo_ros.ros.graph_probe --image /camera/image_raw --node /vlo --seconds 2

It judges nothing: what the facts mean is decided in vlo_ros/doctor.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rclpy
from lifecycle_msgs.srv import GetState
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import Image

from vlo_ros.errors import SourceError
from vlo_ros.fast_dds import LARGE_BYTES, TRANSPORTS
from vlo_ros.message_header import peek_header
from vlo_ros.ros.convert import to_rgb
from vlo_ros.ros.image_topic import IMAGE_TYPES, full_name, watched_images
from vlo_ros.ros.qos import incompatible_pairs

DISCOVERY_S = 3.0
SETTLED_S = 0.7  # after something was found, for the rest of it


class Arrivals:
    """What came in on a topic while it was listened to."""

    def __init__(self, kind: type, now_ns: Callable[[], int]) -> None:
        """Expect messages of `kind`, serialised; `now_ns` reads the clock of their stamps."""
        self.kind = kind
        self.now_ns = now_ns
        self.begin()
        self.stamps_ns: list[int] = []
        self.age_ns: int | None = None
        self.num_bytes = 0
        self.frame_ids: set[str] = set()
        self.first: bytes | None = None

    def begin(self) -> None:
        """Count from now on; what was seen before is still known."""
        self.began, self.count = time.monotonic(), 0

    def on_image(self, serialized: bytes) -> None:
        """Note one message."""
        now_ns = self.now_ns()
        self.count += 1
        self.num_bytes = max(self.num_bytes, len(serialized))
        if self.first is None:
            self.first = bytes(serialized)
        try:
            stamp_ns, frame_id = peek_header(serialized)
        except SourceError:
            return
        self.stamps_ns.append(stamp_ns)
        self.age_ns = now_ns - stamp_ns
        self.frame_ids.add(frame_id)

    def facts(self) -> dict[str, Any]:
        """Return what was seen; times in seconds."""
        seconds = time.monotonic() - self.began
        stamps = self.stamps_ns
        return {
            'count': self.count,
            'rate': self.count / seconds,
            'listened_s': seconds,
            'num_bytes': self.num_bytes,
            'num_zero_stamps': sum(stamp == 0 for stamp in stamps),
            'num_backward_stamps': sum(
                later < earlier for earlier, later in itertools.pairwise(stamps)
            ),
            'age_s': self.age_ns / 1e9 if self.age_ns is not None else None,
            'frame_ids': sorted(self.frame_ids),
            **self._first_image(),
        }

    def _first_image(self) -> dict[str, Any]:
        if self.first is None:
            return {'encoding': None, 'unreadable': None}
        message = deserialize_message(self.first, self.kind)
        encoding = message.encoding if self.kind is Image else message.format
        try:
            to_rgb(message)
        except SourceError as error:
            return {'encoding': encoding, 'unreadable': str(error)}
        return {'encoding': encoding, 'unreadable': None}


class Probe:
    """A node that looks around once."""

    def __init__(self, options: argparse.Namespace) -> None:
        """Join the graph."""
        self._options = options
        self._node = Node('vlo_doctor', start_parameter_services=False)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)

    def look(self) -> dict[str, Any]:
        """Return everything that is to be seen."""
        options = self._options
        self._spin_until(self._sees_something, DISCOVERY_S)
        self._spin_until(lambda: False, SETTLED_S)
        topics = dict(self._node.get_topic_names_and_types())
        watched = self._watched_image()
        images = sorted(name for name, types in topics.items() if set(types) & IMAGE_TYPES.keys())
        image = self._node.resolve_topic_name(options.image) if options.image else watched
        if image is None and len(images) == 1:
            image = images[0]
        types = list(topics.get(image, [])) if image else []
        return {
            'rmw': rclpy.get_rmw_implementation_identifier(),
            'nodes': sorted(self._node_names()),
            'image_topics': images,
            'image': image,
            'image_types': types,
            'has_compressed': f'{image}/compressed' in topics if image else False,
            'publishers': self._publishers(image) if image else [],
            'incompatible': self._incompatible(image) if image else [],
            'arrivals': self._listen(image, types) if image else None,
            'node_state': self._state_of(options.node),
        }

    def close(self) -> None:
        """Leave."""
        self._executor.shutdown()
        self._node.destroy_node()

    def _sees_something(self) -> bool:
        options = self._options
        names = {name for name, _ in self._node.get_topic_names_and_types()}
        if options.image:
            return self._node.resolve_topic_name(options.image) in names
        return options.node in self._node_names()

    def _node_names(self) -> list[str]:
        pairs = self._node.get_node_names_and_namespaces()
        names = [full_name(name, namespace) for name, namespace in pairs]
        return [name for name in names if name != self._node.get_fully_qualified_name()]

    def _watched_image(self) -> str | None:
        """The image topic that the node `vlo` subscribes to."""
        return next(iter(watched_images(self._node, self._options.node)), None)

    def _publishers(self, topic: str) -> list[dict[str, Any]]:
        return [
            {
                'node': full_name(info.node_name, info.node_namespace),
                'reliable': info.qos_profile.reliability == ReliabilityPolicy.RELIABLE,
                'transports': transports_of(list(info.endpoint_gid)),
            }
            for info in self._node.get_publishers_info_by_topic(topic)
        ]

    def _incompatible(self, topic: str) -> list[dict[str, str]]:
        return [
            {
                'publisher': full_name(there.node_name, there.node_namespace),
                'subscriber': full_name(here.node_name, here.node_namespace),
                'reason': reason,
            }
            for there, here, reason in incompatible_pairs(self._node, topic)
        ]

    def _listen(self, topic: str, types: list[str]) -> dict[str, Any] | None:
        """Count images best effort, as the node does; where few came, reliably too."""
        kind = next((IMAGE_TYPES[name] for name in types if name in IMAGE_TYPES), None)
        if kind is None:
            return None
        facts = self._count(topic, kind, qos_profile_sensor_data)
        facts['reliable_rate'] = None
        is_large = not facts['count'] or facts['num_bytes'] >= LARGE_BYTES
        if is_large and any(publisher['reliable'] for publisher in self._publishers(topic)):
            facts['reliable_rate'] = self._count(topic, kind, QoSProfile(depth=5))['rate']
        return facts

    def _count(self, topic: str, kind: type, qos: QoSProfile) -> dict[str, Any]:
        arrivals = Arrivals(kind, lambda: self._node.get_clock().now().nanoseconds)
        subscription = self._node.create_subscription(
            kind, topic, arrivals.on_image, qos, raw=True
        )
        # The rate counts from the first image on: finding each other takes its time.
        self._spin_until(lambda: arrivals.count, self._options.seconds)
        arrivals.begin()
        self._spin_until(lambda: False, self._options.seconds)
        self._node.destroy_subscription(subscription)
        return arrivals.facts()

    def _state_of(self, node: str) -> str | None:
        """The node's lifecycle state; '' when it does not answer, None when it is not there."""
        if node not in self._node_names():
            return None
        client = self._node.create_client(GetState, f'{node}/get_state')
        if not self._spin_until(client.service_is_ready, 1.0):
            return ''
        future = client.call_async(GetState.Request())
        self._spin_until(future.done, 2.0)
        return future.result().current_state.label if future.done() else ''

    def _spin_until(self, condition: Callable[[], Any], timeout_s: float) -> bool:
        end = time.monotonic() + timeout_s
        while not condition():
            left = end - time.monotonic()
            if left <= 0:
                return False
            self._executor.spin_once(timeout_sec=min(left, 0.05))
        return True


def transports_of(gid: list[int], proc: Path = Path('/proc')) -> str | None:
    """FASTDDS_BUILTIN_TRANSPORTS of the process behind an endpoint; None if it is not known.

    Fast DDS puts the low 16 bits of its process id into the identity of its endpoints. That a
    process is of this machine is taken from its having joined the graph: its environment must
    have been readable and it must have loaded Fast DDS.
    """
    if len(gid) < 8 or gid[:2] != [1, 15]:  # not Fast DDS
        return None
    wanted = gid[4] | gid[5] << 8
    for folder in proc.glob('[0-9]*'):
        if int(folder.name) & 0xFFFF != wanted:
            continue
        try:
            maps = (folder / 'maps').read_bytes()
            if b'libfastdds' not in maps and b'libfastrtps' not in maps:
                continue
            entries = (folder / 'environ').read_bytes().split(b'\0')
        except OSError:
            continue
        values = dict(entry.decode('utf-8', 'replace').partition('=')[::2] for entry in entries)
        return values.get(TRANSPORTS, '')
    return None


def main(arguments: list[str] | None = None) -> int:
    """Print the facts as one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--image', default='', help='camera topic; empty: what the node watches')
    parser.add_argument('--node', default='/vlo', help='full name of the node')
    parser.add_argument('--seconds', type=float, default=2.0, help='how long to listen')
    options = parser.parse_args(arguments)
    rclpy.init(args=[])
    probe = Probe(options)
    try:
        sys.stdout.write(json.dumps(probe.look()) + '\n')
    finally:
        probe.close()
        rclpy.try_shutdown()
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
