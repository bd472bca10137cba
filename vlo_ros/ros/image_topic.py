# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Camera topics: their types, their name as image_transport users know it, who watches which."""

from __future__ import annotations

from sensor_msgs.msg import CompressedImage, Image

IMAGE_TYPES = {'sensor_msgs/msg/Image': Image, 'sensor_msgs/msg/CompressedImage': CompressedImage}


def image_topic(node, base: str, transport: str) -> str:
    """Name the topic to subscribe to, as image_transport does.

    A remapping of the plain topic moves the compressed one with it; one of the compressed topic
    itself wins.
    """
    if transport == 'raw':
        return base
    compressed = f'{base}/{transport}'
    if node.resolve_topic_name(compressed) != node.resolve_topic_name(
        compressed, only_expand=True
    ):
        return compressed
    return f'{node.resolve_topic_name(base)}/{transport}'


def full_name(name: str, namespace: str) -> str:
    """A node's name and namespace in one."""
    return f'{namespace.rstrip("/")}/{name}'


def watched_images(node, watcher: str) -> list[str]:
    """Image topics that the node with the full name `watcher` subscribes to, seen from `node`."""
    pairs = node.get_node_names_and_namespaces()
    if watcher not in (full_name(name, namespace) for name, namespace in pairs):
        return []
    namespace, _, name = watcher.rpartition('/')
    found = node.get_subscriber_names_and_types_by_node(name, namespace or '/')
    return [topic for topic, types in found if set(types) & IMAGE_TYPES.keys()]
