# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Asks /vlo as `vlo chat` does and prints the answer; a program of test_security_enclaves.py."""

import os
import sys
import time

import rclpy

from vlo_ros.ros.person.stream_client import StreamClient

PATIENCE_S = 60.0


def main():
    rclpy.init()
    node = rclpy.create_node(f'vlo_chat_{os.getpid()}', start_parameter_services=False)
    answers = []
    client = StreamClient(
        node,
        '/vlo',
        on_decision=lambda decision: None,
        on_partial=lambda response: None,
        on_response=lambda response: answers.append(response.reason or response.text),
        on_status=lambda status: None,
        on_asked=lambda query_id, text: None,
        note=print,
        patience_s=PATIENCE_S,
    )
    client.ask('What am I doing?')
    end = time.monotonic() + PATIENCE_S
    while not answers and time.monotonic() < end:
        rclpy.spin_once(node, timeout_sec=0.2)
    print(*answers)
    return 0 if answers else 1


if __name__ == '__main__':
    sys.exit(main())
