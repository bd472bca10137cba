# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How late the model is: percentiles from the stamps that every decision and response carries.

    capture to decision         Decision.latency
    capture to first token      Response.first_token_stamp - header.stamp, proactive responses
    capture to publish          Response.finished_stamp - header.stamp, proactive responses
    last frame to ...           the same two of answers: the newest frame before the answer

Takes messages of rclpy and of rosbags alike. Knows nothing of ROS.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table
from rosbags.rosbag2 import Reader

from vlo_ros.errors import SourceError, one_line
from vlo_ros.events import NS_PER_S
from vlo_ros.message_definitions import DECISION, RESPONSE, message_types
from vlo_ros.message_header import to_ns
from vlo_ros.response_latency import has_meaning, latency_of

PERCENTS = (50, 95, 99)
MAX_VALUES = 1_000_000


class LatencyReport:
    """Latencies of one or more streams.

    Attributes:
        num_left_out: Stamps without a meaning: never set, or of another clock.
    """

    def __init__(self) -> None:
        """Start empty."""
        self.num_left_out = 0
        self._values: dict[tuple[str, str], list[float]] = defaultdict(list)

    def add_decision(self, stream: str, decision: Any) -> None:
        """Take a Decision message of `stream`."""
        latency_ns = to_ns(decision.latency)
        self._add(stream, 'capture to decision', latency_ns if latency_ns else None)

    def add_response(self, stream: str, response: Any) -> None:
        """Take a Response message of `stream`; some tell nothing."""
        latency = latency_of(response)
        if latency is None:
            return
        first, last = (
            ('last frame to first token of an answer', 'last frame to end of an answer')
            if latency.is_answer
            else ('capture to first token', 'capture to publish')
        )
        self._add(stream, first, latency.first_token_ns)
        self._add(stream, last, latency.finished_ns)

    def _add(self, stream: str, name: str, latency_ns: int | None) -> None:
        if latency_ns is None or not has_meaning(latency_ns):
            self.num_left_out += 1
            return
        values = self._values[stream, name]
        if len(values) < MAX_VALUES:
            values.append(latency_ns / NS_PER_S)

    def rows(self) -> list[dict[str, Any]]:
        """One row for each stream and kind: count and seconds."""
        return [
            {
                'stream': stream,
                'latency': name,
                'count': len(values),
                **{
                    f'p{percent}': float(value)
                    for percent, value in zip(
                        PERCENTS, np.percentile(values, PERCENTS), strict=True
                    )
                },
                'max': max(values),
            }
            for (stream, name), values in sorted(self._values.items())
        ]


def read_bag(bag: Path) -> LatencyReport:
    """Read the decisions and responses of every stream in a bag.

    Raises:
        SourceError: It cannot be read, or nothing of the kind is in it.
    """
    types = message_types()
    takers: Mapping[str, Any] = {
        DECISION: LatencyReport.add_decision,
        RESPONSE: LatencyReport.add_response,
    }
    report, seen = LatencyReport(), 0
    try:
        with Reader(bag) as reader:
            wanted = [
                connection for connection in reader.connections if connection.msgtype in takers
            ]
            for connection, _, data in reader.messages(connections=wanted) if wanted else ():
                message = types.deserialize_cdr(data, connection.msgtype)
                takers[connection.msgtype](report, connection.topic.rpartition('/')[0], message)
                seen += 1
    except Exception as error:  # what a damaged file makes of a parser has no one type
        raise SourceError(f'{bag}: cannot be read: {one_line(error)}') from error
    if not seen:
        raise SourceError(f'{bag}: holds no vlo_ros/msg/Decision or Response; record them too')
    return report


def print_report(report: LatencyReport, *, as_json: bool) -> None:
    """Print the rows as a table in milliseconds, or as JSON in seconds."""
    rows = report.rows()
    if as_json:
        typer.echo(json.dumps({'rows': rows, 'left_out': report.num_left_out}, indent=2))
        return
    console = Console(highlight=False)
    if rows:
        console.print(table_of(rows))
    if report.num_left_out:
        console.print(
            f'[dim]{report.num_left_out} values left out: never stamped (a replay), or camera and '
            'node do not share a clock[/]'
        )


def table_of(rows: list[dict[str, Any]]) -> Table:
    """Rows for people."""
    table = Table(box=None, pad_edge=False, header_style='dim')
    table.add_column('stream')
    table.add_column('milliseconds')
    columns = (*(f'p{percent}' for percent in PERCENTS), 'max')
    for column in ('count', *columns):
        table.add_column(column, justify='right')
    for row in rows:
        figures = [f'{1000 * row[column]:.0f}' for column in columns]
        table.add_row(row['stream'], row['latency'], str(row['count']), *figures)
    return table
