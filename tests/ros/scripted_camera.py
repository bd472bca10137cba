# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A camera in a process of its own that publishes what its standard input says.

    python -m tests.ros.scripted_camera /namespace

One JSON object a line: {"images": [...], "topic": "image"}. An image has `stamp_ns` and perhaps
`encoding` and `size` [width, height], `set` (fields of the message to overwrite), `keep` (share of
its data that is sent), and `format` ('jpeg' or 'png' make it a CompressedImage). When all are
sent it prints {"sent": number}.
"""

import array
import json
import sys

import cv2
import numpy as np
import rclpy
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CompressedImage, Image

from tests.ros.scripted_node import tell, wait_for_listener
from vlo_ros.image_message import ENCODINGS
from vlo_ros.ros.convert import to_time

draw = np.random.default_rng(0)


def image_of(order):
    """Return the message that an order describes."""
    width, height = order.get('size', (64, 48))
    if 'format' in order:
        pixels = draw.integers(0, 256, (height, width, 3), dtype=np.uint8)
        data = cv2.imencode('.' + order['format'], pixels)[1].tobytes()
        message = CompressedImage(format=order['format'])
    else:
        encoding = order.get('encoding', 'rgb8')
        step = width * ENCODINGS[encoding]
        data = draw.integers(0, 256, step * height, dtype=np.uint8).tobytes()
        message = Image(width=width, height=height, encoding=encoding, step=step)
    message.data = array.array('B', data[: round(order.get('keep', 1.0) * len(data))])
    message.header.stamp = to_time(order['stamp_ns'])
    message.header.frame_id = 'eye'
    for name, value in order.get('set', {}).items():
        setattr(message, name, value)
    return message


def main():
    rclpy.init()
    node = rclpy.create_node('camera', namespace=sys.argv[1])
    publishers = {}
    tell({'ready': True})
    for line in sys.stdin:
        order = json.loads(line)
        topic = order.get('topic', 'image')
        for number, image in enumerate(order['images']):
            message = image_of(image)
            if topic not in publishers:
                keep = QoSProfile(depth=1000)
                publishers[topic] = node.create_publisher(type(message), topic, keep)
            if not number:
                wait_for_listener(publishers[topic])
            publishers[topic].publish(message)
        tell({'sent': len(order['images'])})


if __name__ == '__main__':
    main()
