# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Checks of the live graph: the camera's topic, type, QoS, rate and stamps; the node's state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vlo_ros.doctor.facts import Facts
from vlo_ros.doctor.finding import Finding, error, ok, skipped, warning
from vlo_ros.doctor.machine import SET_LARGE_DATA
from vlo_ros.fast_dds import LARGE_BYTES, carries_large_data

RAW, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
# A stamp this far from the present is of another clock, s.
STRANGE_AGE_S = 60.0


def check_topic(facts: Facts) -> Finding:
    """The camera's topic is there, and somebody publishes on it."""
    graph = facts.graph
    if graph is None:
        return skipped('camera topic', facts.graph_error)
    listed = ', '.join(graph['image_topics']) or 'none'
    if graph['image'] is None and not graph['image_topics']:
        return error(
            'camera topic',
            'there is no image topic',
            'start the camera, or name its topic: vlo doctor --image TOPIC; ROS_DOMAIN_ID must be '
            'the same at both ends',
        )
    if graph['image'] is None:
        return error(
            'camera topic',
            f'there are several image topics, and none is named: {listed}',
            'vlo doctor --image TOPIC',
        )
    if not graph['publishers']:
        own = facts.environ.get('ROS_DOMAIN_ID', '0')
        others = sorted(facts.other_domains - {own})
        elsewhere = f'; other programs here are in domain {", ".join(others)}' if others else ''
        return error(
            'camera topic',
            f'nobody publishes {graph["image"]}; image topics: {listed}',
            'start the camera, or remap the node: -r image:=TOPIC; ROS_DOMAIN_ID must be the same '
            f'at both ends (here {own}{elsewhere})',
        )
    names = ', '.join(sorted({publisher['node'] for publisher in graph['publishers']}))
    if len(graph['publishers']) > 1:
        return warning(
            'camera topic',
            f'{graph["image"]} has {len(graph["publishers"])} publishers: {names}',
            'give each camera a topic of its own; the node takes several with `cameras`',
        )
    return ok('camera topic', f'{graph["image"]} from {names}')


def check_type(facts: Facts) -> Finding:
    """The topic carries what the node's image_transport expects."""
    graph = facts.graph
    if graph is None or not graph['publishers']:
        return skipped('camera type', 'no camera to look at')
    wanted = COMPRESSED if facts.image_transport == 'compressed' else RAW
    types = graph['image_types']
    if wanted in types:
        return ok('camera type', wanted)
    if RAW in types:
        return error(
            'camera type', f'{graph["image"]} carries raw images', 'set image_transport:=raw'
        )
    if COMPRESSED in types:
        return error(
            'camera type',
            f'{graph["image"]} carries compressed images',
            'set image_transport:=compressed, and remap image to the name without /compressed',
        )
    return error(
        'camera type',
        f'{graph["image"]} carries {", ".join(types)}, no images',
        f'remap image to one of: {", ".join(graph["image_topics"]) or "(there is none)"}',
    )


def check_qos(facts: Facts) -> Finding:
    """Publisher and subscriptions accept each other's quality of service."""
    graph = facts.graph
    if graph is None or not graph['publishers']:
        return skipped('camera QoS', 'no camera to look at')
    pairs = graph['incompatible']
    if pairs:
        # What other programs do not get is no trouble of the node's.
        judge = error if any(pair['subscriber'] == facts.node for pair in pairs) else warning
        return judge(
            'camera QoS',
            '; '.join(
                f'{pair["subscriber"]} gets nothing from {pair["publisher"]}: '
                f'{pair["reason"].strip("; ")}'
                for pair in pairs
            ),
            '; '.join(dict.fromkeys(_qos_advice(pair, graph['image']) for pair in pairs)),
        )
    kinds = {
        'reliable' if publisher['reliable'] else 'best effort' for publisher in graph['publishers']
    }
    return ok('camera QoS', f'offered: {", ".join(sorted(kinds))}')


def check_transport_there(facts: Facts) -> Finding:
    """The camera's end was started with the same Fast DDS transport as this end."""
    graph = facts.graph
    if graph is None or 'fastrtps' not in graph['rmw']:
        return skipped('transport there', 'no camera on Fast DDS to look at')
    if not graph['publishers']:
        return skipped('transport there', 'no camera to look at')
    arrivals = graph['arrivals'] or {}
    if facts.image_transport == 'compressed' or 0 < arrivals.get('num_bytes', 0) < LARGE_BYTES:
        return ok('transport there', 'images are small enough for any')
    known = [p for p in graph['publishers'] if p['transports'] is not None]
    for publisher in known:
        if not carries_large_data(publisher['transports']):
            return error(
                'transport there',
                f'{publisher["node"]} runs with {publisher["transports"] or "the default"}: its '
                'large images are nearly all lost',
                f'{SET_LARGE_DATA}, and start the camera again',
            )
    if not known:
        return skipped('transport there', 'the camera runs elsewhere: compare it by hand')
    return ok('transport there', known[0]['transports'])


def check_rate(facts: Facts) -> Finding:
    """Images come, at least as many as are wanted, and none is lost on the way."""
    arrivals = _arrivals(facts)
    if arrivals is None:
        return skipped('camera rate', 'no camera to listen to')
    rate, reliable_rate = arrivals['rate'], arrivals['reliable_rate'] or 0.0
    if reliable_rate > 1.5 * rate + 0.5:
        return error(
            'camera rate',
            f'{rate:.1f} images/s arrive best effort, {reliable_rate:.1f} reliably: the rest is '
            'lost on the way',
            f'{SET_LARGE_DATA}; or take compressed images',
        )
    if arrivals['encoding'] is None:
        return error(
            'camera rate',
            'the topic has a publisher, but no image arrived',
            f'look at the camera; if its images are large: {SET_LARGE_DATA}; if they are rare: '
            'vlo doctor --seconds N listens longer',
        )
    if not arrivals['count']:
        listened_s = arrivals['listened_s']
        return warning(
            'camera rate',
            f'less than {1 / listened_s:.2g} images/s arrive, {facts.frame_fps:g} are wanted: one '
            f'image, and none in the {listened_s:.2g} s after it',
            'let the camera run faster, or set frame_fps lower; vlo doctor --seconds N listens '
            'longer',
        )
    if rate < 0.8 * facts.frame_fps:
        return warning(
            'camera rate',
            f'{rate:.1f} images/s arrive, {facts.frame_fps:g} are wanted',
            'let the camera run faster, or set frame_fps lower',
        )
    return ok('camera rate', f'{rate:.1f} images/s, {arrivals["num_bytes"] / 1e6:.2g} MB each')


def check_stamps(facts: Facts) -> Finding:
    """Images carry the time of their capture."""
    arrivals = _arrivals(facts)
    if arrivals is None or arrivals['age_s'] is None:
        return skipped('camera stamps', 'no image to look at')
    if arrivals['num_zero_stamps']:
        return error(
            'camera stamps',
            f'{arrivals["num_zero_stamps"]} images have the stamp 0: they cannot be ordered',
            'have the driver set header.stamp to the time of capture',
        )
    if arrivals['num_backward_stamps']:
        both = len(arrivals['frame_ids']) > 1
        return error(
            'camera stamps',
            f'{arrivals["num_backward_stamps"]} stamps go back',
            'two cameras on one topic: give each its own'
            if both
            else 'have the driver stamp images in order; a looping bag needs stamps:=now',
        )
    age_s = arrivals['age_s']
    if abs(age_s) > STRANGE_AGE_S:
        return warning(
            'camera stamps',
            f'stamps are {_long(abs(age_s))} {"behind" if age_s > 0 else "ahead of"} this clock: '
            'latencies mean nothing',
            'a bag: play it with --clock and set use_sim_time; two machines: chrony or ptp4l',
        )
    return ok('camera stamps', f'{1000 * age_s:.0f} ms old on arrival')


def check_encoding(facts: Facts) -> Finding:
    """The images are of a kind that can be read."""
    arrivals = _arrivals(facts)
    if arrivals is None or arrivals['encoding'] is None:
        return skipped('camera encoding', 'no image to look at')
    if arrivals['unreadable']:
        return error(
            'camera encoding',
            arrivals['unreadable'],
            'set the driver to rgb8 or bgr8 (compressed: jpeg)',
        )
    return ok('camera encoding', arrivals['encoding'])


def check_node(facts: Facts) -> Finding:
    """The node is there, once, and active."""
    graph, node = facts.graph, facts.node
    if graph is None:
        return skipped('node', facts.graph_error)
    state = graph['node_state']
    if state is None:
        return warning(
            'node',
            f'{node} is not running',
            'ros2 launch vlo_ros vlo.launch.py image:=TOPIC; another name: vlo doctor --node NAME',
        )
    if graph['nodes'].count(node) > 1:
        return error(
            'node',
            f'{graph["nodes"].count(node)} nodes are called {node}',
            'give each a namespace',
        )
    if state == 'active':
        return ok('node', f'{node} is active')
    if state == '':
        return error('node', f'{node} does not answer', 'look at its log; start it again')
    steps = {'unconfigured': 'configure, then activate', 'inactive': 'activate'}
    step = steps.get(state, 'wait, and look at its log')
    return warning(
        'node',
        f'{node} is {state}: it judges nothing',
        f'ros2 lifecycle set {node} {step}; if configure fails its log says why',
    )


def _qos_advice(pair: Mapping[str, str], topic: str) -> str:
    """What makes a publisher and a subscriber fit, from the reason why they do not."""
    reason, advice = pair['reason'].lower(), []
    if 'reliable subscription' in reason:
        override = f'qos_overrides.{topic}.subscription.reliability: best_effort'
        advice.append(f'subscribe best effort ({override})')
    if 'transient local subscription' in reason:
        advice.append('subscribe with durability volatile')
    if 'deadline' in reason:
        advice.append('ask for no deadline, or a longer one')
    if 'liveliness' in reason:
        advice.append('ask for liveliness automatic and no lease duration')
    return f'{pair["subscriber"]}: {", ".join(advice) or "ask for the QoS that is offered"}'


def _arrivals(facts: Facts) -> dict[str, Any] | None:
    if facts.graph is None or not facts.graph['publishers']:
        return None
    found: dict[str, Any] | None = facts.graph['arrivals']
    return found


def _long(seconds: float) -> str:
    for unit, length in (('years', 31_557_600), ('days', 86_400), ('hours', 3600)):
        if seconds > 2 * length:
            return f'{seconds / length:.0f} {unit}'
    return f'{seconds:.0f} s'


GRAPH_CHECKS = (
    check_topic,
    check_type,
    check_qos,
    check_transport_there,
    check_rate,
    check_stamps,
    check_encoding,
    check_node,
)
