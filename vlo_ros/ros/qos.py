# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Publishers and subscriptions whose QoS can be given as parameters, `qos_overrides.TOPIC...`."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator
from typing import Any

from rclpy.exceptions import ParameterException
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSCompatibility, QoSProfile, qos_check_compatible
from rclpy.qos_overriding_options import InvalidQosOverridesError, QoSOverridingOptions
from rclpy.subscription import Subscription
from rclpy.topic_endpoint_info import TopicEndpointInfo

from vlo_ros.errors import ConfigError, one_line

ACCEPTED = 'reliability: reliable, best_effort; history: keep_last, keep_all; depth: a number'


def create_publisher(node: Node, message_type: Any, topic: str, qos: QoSProfile) -> Publisher:
    """Publish on `topic` with `qos`, unless parameters say otherwise.

    Raises:
        ConfigError: A parameter has a bad value; one line.
    """
    with _naming_the_parameter(node, topic, 'publisher'):
        return node.create_publisher(
            message_type,
            topic,
            copy.copy(qos),  # rclpy writes overrides into the profile that it is given
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )


def create_subscription(
    node: Node,
    message_type: Any,
    topic: str,
    callback: Callable[..., None],
    qos: QoSProfile,
    **options: Any,
) -> Subscription:
    """Subscribe to `topic` with `qos`, unless parameters say otherwise.

    Raises:
        ConfigError: A parameter has a bad value; one line.
    """
    with _naming_the_parameter(node, topic, 'subscription'):
        return node.create_subscription(
            message_type,
            topic,
            callback,
            copy.copy(qos),
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
            **options,
        )


def incompatible_pairs(
    node: Node, topic: str
) -> list[tuple[TopicEndpointInfo, TopicEndpointInfo, str]]:
    """Publishers and subscriptions of a topic that will never exchange a message, and why."""
    return [
        (there, here, reason)
        for there in node.get_publishers_info_by_topic(topic)
        for here in node.get_subscriptions_info_by_topic(topic)
        for verdict, reason in [qos_check_compatible(there.qos_profile, here.qos_profile)]
        if verdict == QoSCompatibility.ERROR
    ]


@contextlib.contextmanager
def _naming_the_parameter(node: Node, topic: str, kind: str) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, ParameterException, InvalidQosOverridesError) as error:
        if isinstance(error, RuntimeError) and 'QoS override' not in str(error):
            raise
        name = f'qos_overrides.{node.resolve_topic_name(topic)}.{kind}'
        raise ConfigError(f'{name}: {one_line(error)}; accepted: {ACCEPTED}') from error
