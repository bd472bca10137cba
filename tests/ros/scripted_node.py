# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A node in a process of its own that talks like `vlo` and does as its standard input says.

    python tests/ros/scripted_node.py /namespace

One JSON object a line: {"say": text}, {"grow": text}, {"silent": p}, {"status": {...}},
{"answer": text} answers the oldest query. It prints every query and reset it gets, as JSON.
"""

import json
import os
import select
import sys
import time

import rclpy
from rclpy.node import Node
from rclpy.qos import QoSProfile
from std_srvs.srv import Trigger

from vlo_ros import msg
from vlo_ros.ros.convert import to_time

S = 1_000_000_000
PATIENCE_S = 60.0


class ScriptedNode(Node):
    def __init__(self, namespace):
        super().__init__('vlo', namespace=namespace)
        keep = QoSProfile(depth=1000)
        self.decision = self.create_publisher(msg.Decision, '~/decision', keep)
        self.response = self.create_publisher(msg.Response, '~/response', keep)
        self.partial = self.create_publisher(msg.Response, '~/response/partial', keep)
        self.status = self.create_publisher(msg.StreamStatus, '~/status', keep)
        self.create_subscription(msg.Query, '~/query', self.on_query, keep)
        self.create_service(Trigger, '~/reset', self.on_reset)
        self.queries = []
        self.frame = 0
        self.sequence = 0

    def on_query(self, query):
        self.queries.append(query)
        tell({'query': query.text, 'id': query.query_id})

    def on_reset(self, request, response):
        tell({'reset': True})
        response.success = True
        return response

    def do(self, order):
        for verb, value in order.items():
            publisher = {'silent': self.decision, 'grow': self.partial, 'status': self.status}
            wait_for_listener(publisher.get(verb, self.response))
            getattr(self, f'do_{verb}')(value)

    def stamp(self, message):
        message.header.stamp = to_time(100 * S + self.frame * S // 2)
        return message

    def do_silent(self, p_silence):
        decision = msg.Decision(silence_probability=p_silence, silence_threshold=0.725)
        self.decision.publish(self.stamp(decision))
        self.frame += 1

    def sentence(self, text, query_id=''):
        response = self.stamp(msg.Response(text=text, query_id=query_id, sequence=self.sequence))
        response.first_token_stamp = to_time(100 * S + self.frame * S // 2 + S // 10)
        response.finished_stamp = to_time(100 * S + self.frame * S // 2 + S // 5)
        response.num_tokens = len(text.split())
        return response

    def do_grow(self, text):
        self.partial.publish(self.sentence(text))

    def do_say(self, text):
        response = self.sentence(text)
        response.state = msg.Response.STATE_FINISHED
        self.response.publish(response)
        self.sequence += 1

    def do_answer(self, text):
        response = self.sentence(text, self.queries.pop(0).query_id)
        response.state = msg.Response.STATE_FINISHED
        response.trigger = msg.Response.TRIGGER_QUERY
        self.response.publish(response)
        self.sequence += 1

    def do_refuse(self, reason):
        response = self.sentence('', self.queries.pop(0).query_id)
        response.state = msg.Response.STATE_CANCELLED
        response.reason = reason
        self.response.publish(response)

    def do_status(self, fields):
        self.status.publish(msg.StreamStatus(**fields))


def wait_for_listener(publisher):
    """What is said before anybody has found the topic is not heard."""
    end = time.monotonic() + PATIENCE_S
    while not publisher.get_subscription_count():
        if time.monotonic() > end:
            raise TimeoutError(f'nobody listened to {publisher.topic_name} for {PATIENCE_S} s')
        time.sleep(0.01)


def tell(something):
    print(json.dumps(something), flush=True)


def main():
    rclpy.init()
    node = ScriptedNode(sys.argv[1])
    tell({'ready': True})
    unfinished = b''
    while True:
        rclpy.spin_once(node, timeout_sec=0.02)
        while select.select([0], [], [], 0)[0]:
            if not (data := os.read(0, 65536)):
                return
            *lines, unfinished = (unfinished + data).split(b'\n')
            for line in lines:
                node.do(json.loads(line))


if __name__ == '__main__':
    main()
