"""The name of a camera's topic, as image_transport users know it."""

from __future__ import annotations


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
