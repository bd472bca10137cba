# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node `vlo` and a camera, two processes on real DDS: what grows while they run?

    ./dev bench node_soak [--minutes 30] [--model YAML] [--transport raw] [--output OUT.json]

A camera of 640x480 at 10 Hz, a query every 20 s, a sample every 10 s of both processes: resident
memory, open file descriptors, threads; and from the node's status its counters and latencies. A
line is fitted to each (the median of all pairwise slopes). Allocators and the caches of libraries
fill at first: the measurement begins after five minutes. The exit status is 1 when one grows.
Images are compressed unless asked otherwise: raw ones may be late in Fast DDS
(docs/reliability.md).
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cv2
import torch

from bench import machine
from vlo_ros.rendered_world import Episode
from vlo_ros.ros.children import Child
from vlo_ros.ros.watcher import START_S, Watcher

ANSWER_S = 60.0
SETTLE_S = 300.0
CAMERA_FPS = 10.0
SIZE = (640, 480)
NUM_IMAGES = 300
NAMESPACE = '/soak'
IMAGE_QOS = {
    'raw': f'qos_overrides.{NAMESPACE}/image.subscription',
    'compressed': f'qos_overrides.{NAMESPACE}/image/compressed.subscription',
}


@dataclass(frozen=True)
class Plan:
    """What runs, and for how long.

    Attributes:
        seconds: Length of the run behind `settle_s`.
        settle_s: Seconds before the first sample: caches of libraries fill meanwhile.
        sample_s: Seconds between samples.
        query_s: Seconds between queries.
        camera: Parameters of the camera.
        vlo: Parameters of the node.
        module: What is started as the node.
        settle_judged: Frames judged before the first sample: on a slow machine caches fill late.
    """

    seconds: float
    settle_s: float
    sample_s: float
    query_s: float
    camera: dict[str, Any]
    vlo: dict[str, Any]
    module: str = 'vlo_ros.ros.vlo_node'
    settle_judged: int = 0


@dataclass(frozen=True)
class Bounds:
    """What may grow, and by how much.

    Attributes:
        rss_mb: Growth of resident memory over the run, MB.
        handles: Of open file descriptors, last third over first third.
        threads: Of threads, likewise.
        latency_s: Of the median latency of decisions, likewise, s. The tail belongs to whatever
            else the machine does.
    """

    rss_mb: float
    handles: float = 0.0
    threads: float = 0.0
    latency_s: float = 0.25


@dataclass
class Soak:
    """What was measured.

    Attributes:
        samples: One row a sample; `node_` and `camera_` before what is of a process.
        asked: Queries sent.
        answered: Queries that got a response, refusals included.
    """

    samples: list[dict[str, float]] = field(default_factory=list)
    asked: int = 0
    answered: int = 0

    def trends(self) -> dict[str, dict[str, float]]:
        """Return for each column its first and last third, slope per hour and growth."""
        hours = [sample['seconds'] / 3600 for sample in self.samples]
        columns = [name for name in self.samples[0] if name != 'seconds']
        return {name: trend(hours, [row[name] for row in self.samples]) for name in columns}

    def complaints(self, bounds: Bounds) -> list[str]:
        """Return a line for each thing that grows or is missing."""
        trends = self.trends()
        found = []
        for process in ('node', 'camera'):
            growth = trends[f'{process}_rss_mb']['growth']
            if growth > bounds.rss_mb:
                found.append(f'{process}: resident memory grew by {growth:.1f} MB')
            for name, bound in (('handles', bounds.handles), ('threads', bounds.threads)):
                row = trends[f'{process}_{name}']
                if row['last'] - row['first'] > bound:
                    found.append(f'{process}: {name} went from {row["first"]} to {row["last"]}')
        row = trends['decision_p50_s']
        if not row['last'] - row['first'] <= bounds.latency_s:
            went = f'went from {row["first"]:.3g} s to {row["last"]:.3g} s'
            found.append(f'median latency of decisions {went}')
        if self.answered != self.asked:
            found.append(f'{self.asked} queries, {self.answered} responses to them')
        if trends['judged']['last'] <= trends['judged']['first']:
            found.append('no frames were judged')
        return found


def trend(hours: Sequence[float], values: Sequence[float]) -> dict[str, float]:
    """Fit a line that single bad samples do not turn: the median of all pairwise slopes."""
    pairs = itertools.combinations(zip(hours, values, strict=True), 2)
    slope = statistics.median((b[1] - a[1]) / (b[0] - a[0]) for a, b in pairs)
    third = max(len(values) // 3, 1)
    return {
        'first': statistics.median(values[:third]),
        'last': statistics.median(values[-third:]),
        'slope_per_hour': slope,
        'growth': slope * (hours[-1] - hours[0]),
    }


def usage_of(pid: int) -> dict[str, float]:
    """Resident memory in MB, open file descriptors and threads of a process."""
    proc = Path(f'/proc/{pid}')
    return {
        'rss_mb': int((proc / 'statm').read_text().split()[1]) * os.sysconf('SC_PAGESIZE') / 1e6,
        'handles': len(list((proc / 'fd').iterdir())),
        'threads': len(list((proc / 'task').iterdir())),
    }


def run(plan: Plan, folder: Path, namespace: str = NAMESPACE) -> Soak:
    """Start both programs, watch them as `plan` says, end them.

    Args:
        plan: What runs, and for how long.
        folder: For their logs.
        namespace: Of all nodes.
    """
    watcher = Watcher(namespace)
    children: list[Child] = []
    try:
        children.append(Child(plan.module, _arguments(namespace, plan.vlo), folder))
        watcher.bring_up(children)
        children.append(Child('vlo_ros.ros.camera', _arguments(namespace, plan.camera), folder))
        watcher.wait_for(watcher.has_node, START_S, children)
        return _watch(plan, watcher, children)
    finally:
        for child in reversed(children):
            child.interrupt()
        for child in children:
            child.end()
        watcher.close()


def _watch(plan: Plan, watcher: Watcher, children: Sequence[Child]) -> Soak:
    soak = Soak()
    start = time.monotonic()
    next_query = start + plan.query_s
    next_sample = end = math.inf
    while (now := time.monotonic()) < end:
        if end == math.inf and _is_settled(plan, watcher, now - start):
            next_sample, end = now, now + plan.seconds
        if now >= next_query:
            watcher.ask(f'soak-{soak.asked}')
            soak.asked += 1
            next_query += plan.query_s
        if now >= next_sample:
            soak.samples.append(_sample(now - start, watcher, children))
            next_sample += plan.sample_s
        watcher.spin(children, min(next_query, next_sample, end, now + 1.0) - now)
    with contextlib.suppress(TimeoutError):  # what is missing is told with the rest
        watcher.wait_for(lambda: not watcher.waiting, ANSWER_S, children)
    soak.answered = soak.asked - len(watcher.waiting)
    return soak


def _is_settled(plan: Plan, watcher: Watcher, seconds: float) -> bool:
    if seconds < plan.settle_s:
        return False
    assert watcher.status is not None
    is_too_slow = seconds > plan.settle_s + START_S  # measure what there is
    return is_too_slow or bool(watcher.status.frames_judged >= plan.settle_judged)


def _sample(seconds: float, watcher: Watcher, children: Sequence[Child]) -> dict[str, float]:
    row: dict[str, float] = {'seconds': seconds}
    for name, child in zip(('node', 'camera'), children, strict=True):
        row |= {f'{name}_{what}': value for what, value in usage_of(child.pid).items()}
    status = watcher.status
    assert status is not None
    return row | {
        'received': status.frames_received,
        'judged': status.frames_judged,
        'dropped': status.frames_dropped,
        'rejected': status.frames_rejected,
        'responses': status.responses,
        'evictions': status.evictions,
        'decision_p50_s': status.decision_latency_p50,
        'decision_p95_s': status.decision_latency_p95,
        'decision_p99_s': status.decision_latency_p99,
        'publish_p95_s': status.publish_latency_p95,
        'load': os.getloadavg()[0],
    }


def _arguments(namespace: str, parameters: dict[str, Any]) -> list[str]:
    arguments = ['--ros-args', '-r', f'__ns:={namespace}']
    for name, value in parameters.items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        arguments += ['-p', f'{name}:={text}']
    return arguments


def write_images(folder: Path) -> Path:
    """Draw the images of the camera: half a minute of the rendered world, 640x480."""
    frames = Episode(3, 'new').frames(CAMERA_FPS, 96)
    for index, (_, image_HWC) in enumerate(itertools.islice(frames, NUM_IMAGES)):
        large = cv2.resize(image_HWC, SIZE, interpolation=cv2.INTER_LINEAR)
        cv2.imwrite(str(folder / f'{index:04}.jpg'), cv2.cvtColor(large, cv2.COLOR_RGB2BGR))
    return folder


def main() -> int:
    """Run, print tables, write JSON; 1 when something grows."""
    parser = machine.parser(__doc__)
    parser.add_argument('--minutes', type=float, default=30.0)
    parser.add_argument('--model', default='bundled', help='model YAML, or bundled')
    parser.add_argument('--transport', choices=tuple(IMAGE_QOS), default='compressed')
    arguments = parser.parse_args()
    head = machine.describe(torch.device('cpu'))
    with tempfile.TemporaryDirectory(prefix='vlo_soak_') as name:
        folder = Path(name)
        (folder / 'images').mkdir()
        plan = Plan(
            seconds=60 * arguments.minutes,
            settle_s=SETTLE_S,
            sample_s=10.0,
            query_s=20.0,
            camera={
                'source': write_images(folder / 'images'),
                'fps': CAMERA_FPS,
                'stamps': 'now',
                'loop': True,
                'image_transport': arguments.transport,
            },
            # Best effort would lose most of such large images while the machine is busy.
            vlo={
                'model': arguments.model,
                'image_transport': arguments.transport,
                f'{IMAGE_QOS[arguments.transport]}.reliability': 'reliable',
            },
        )
        soak = run(plan, folder)
    bounds = Bounds(rss_mb=10.0)
    complaints = soak.complaints(bounds)
    result = {
        'machine': head,
        'transport': {'images': arguments.transport},
        'bounds': asdict(bounds),
        'trends': [{'what': what, **row} for what, row in soak.trends().items()],
        'total': {'asked': soak.asked, 'answered': soak.answered, 'samples': len(soak.samples)},
        'samples': soak.samples,
    }
    machine.write_result(arguments.output, result)
    print('\n' + ('\n'.join(complaints) or 'nothing grows'))
    return 1 if complaints else 0


if __name__ == '__main__':
    sys.exit(main())
