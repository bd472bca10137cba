# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Subscribes to all that `vlo` says, reliably, in a process of its own that a test may stop.

    python -m tests.ros.listening_node /namespace

It prints the frame_index of each decision.
"""

import sys

import rclpy
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image

from vlo_ros import msg


def main():
    rclpy.init()
    node = rclpy.create_node('listening', namespace=sys.argv[1])
    keep = QoSProfile(depth=1000)
    for name, kind in (
        ('response', msg.Response),
        ('response/partial', msg.Response),
        ('status', msg.StreamStatus),
        ('overlay', Image),
    ):
        node.create_subscription(kind, f'vlo/{name}', lambda message: None, keep)
    node.create_subscription(
        msg.Decision, 'vlo/decision', lambda message: print(message.frame_index, flush=True), keep
    )
    rclpy.spin(node)


if __name__ == '__main__':
    main()
