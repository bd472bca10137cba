# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`vlo latency --live`: percentiles of the running node, while it runs."""

from __future__ import annotations

import argparse
import os
import time

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rich.console import Console
from rich.live import Live

from vlo_ros import msg
from vlo_ros.latency import LatencyReport, print_report, table_of
from vlo_ros.ros.interrupt import until_interrupted
from vlo_ros.ros.person.stream_client import KEEP, stream_prefix


def measure(prefix: str, seconds: float, console: Console) -> LatencyReport:
    """Listen for a while, showing what is measured so far if `console` is a terminal."""
    node = rclpy.create_node(f'vlo_latency_{os.getpid()}', start_parameter_services=False)
    report = LatencyReport()
    for topic, kind, take in (
        ('decision', msg.Decision, report.add_decision),
        ('response', msg.Response, report.add_response),
    ):
        node.create_subscription(
            kind, f'{prefix}/{topic}', lambda message, take=take: take(prefix, message), KEEP
        )
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    end = time.monotonic() + seconds
    # Interrupted, what was measured so far is reported.
    with until_interrupted(), Live(console=console, auto_refresh=False, transient=True) as live:
        while (left := end - time.monotonic()) > 0:
            executor.spin_once(timeout_sec=min(left, 0.5))
            if console.is_terminal:
                live.update(table_of(report.rows()), refresh=True)
    executor.shutdown()
    node.destroy_node()
    return report


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; 1 when nothing was heard."""
    parser = argparse.ArgumentParser(
        prog='vlo latency --live', description=__doc__.splitlines()[0]
    )
    parser.add_argument('--node', default='/vlo', help='full name of the node')
    parser.add_argument('--camera', default='', help='its camera, where it has several')
    parser.add_argument('--seconds', type=float, default=30.0, help='how long to listen')
    parser.add_argument('--json', action='store_true', help='for programs')
    options = parser.parse_args(arguments)
    prefix = stream_prefix(options.node, options.camera)
    rclpy.init(args=[])
    console = Console(stderr=True)
    try:
        report = measure(prefix, options.seconds, console)
    finally:
        rclpy.try_shutdown()
    print_report(report, as_json=options.json)
    if not report.rows():
        console.print(f'[red]vlo: nothing was heard of {prefix}[/]', highlight=False)
    return 0 if report.rows() else 1


if __name__ == '__main__':
    raise SystemExit(main())
