# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Speed on one GPU at the real shapes, random weights made on the device, in one run.

    python -m bench.gpu --output OUT.json       under 8 minutes, about 60 GB of GPU memory
    python -m bench.gpu --tiny                  the same code on any machine, figures of no use

Llama-3-8B in bfloat16 and SigLIP-L/16 at 384 px, 10 tokens a frame and the interval. Random
weights decide nothing of use, so verdicts are replaced once they have been computed and read.

OUT.json is written after every section. A section that fails, or that the time does not reach,
is named there with the reason, and the others are measured all the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from bench import machine
from bench.gpu_sections import GpuMeasurements, agreement
from vlo_ros.checkpoint import VloModel
from vlo_ros.errors import one_line

# What is not begun by then is left out; the longest section takes about two minutes.
BUDGET_MINUTES = 6.0


class Report:
    """The result so far.

    Attributes:
        result: Section by name.
        failed: Reason by name of the section that has no figures.
    """

    def __init__(self, path: Path | None, budget_minutes: float) -> None:
        """Write to `path` after every section."""
        self.result: dict[str, Any] = {}
        self.failed: dict[str, str] = {}
        self._path, self._budget_minutes = path, budget_minutes
        self._start = time.perf_counter()

    @property
    def minutes(self) -> float:
        """Since the beginning."""
        return (time.perf_counter() - self._start) / 60

    def measure(self, name: str, section: Callable[[], Any]) -> Any:
        """Run a section and keep what it returns; None when it failed or came too late."""
        found = None
        if self.minutes > self._budget_minutes:
            self.failed[name] = f'not begun: {self.minutes:.1f} minutes were over'
        else:
            try:
                found = section()
            except Exception as error:  # whatever a GPU does; the other sections must not be lost
                self.failed[name] = f'{type(error).__name__}: {one_line(error)}'
        if isinstance(found, dict | list):
            self.result[name] = found
        self.write()
        return found

    def write(self) -> None:
        """Bring the file up to date."""
        self.result['total'] = {'minutes': self.minutes, 'failed': len(self.failed)}
        if self.failed:
            self.result['failed'] = self.failed
        machine.write_json(self._path, self.result)


def run(report: Report, tiny: bool, kinds: list[str], compiled: bool) -> None:
    """Measure everything."""
    gpu = GpuMeasurements(tiny)
    report.measure('machine', lambda: machine.describe(gpu.device) | software(gpu.device))
    if not tiny:
        report.measure('ceilings', lambda: machine.ceilings(gpu.device))
    report.measure('published', gpu.published)
    gpu.release()
    reference_N = _ours(report, gpu, compiled)
    gpu.release()  # the model went with `_ours`
    for dtype in (torch.bfloat16, torch.float32):
        report.measure(_frames_of(dtype), lambda dtype=dtype: gpu.frames(dtype))  # type: ignore[misc]
        gpu.release()
    for kind in kinds if reference_N is not None else ():
        report.measure(kind, lambda kind=kind: gpu.quantized(kind, reference_N))  # type: ignore[misc]
        gpu.release()
    report.result['ratios'] = ratios_of(report.result)
    report.write()


def _ours(report: Report, gpu: GpuMeasurements, compiled: bool) -> torch.Tensor | None:
    """Measure our side in bfloat16; return what it decides one frame at a time."""
    model: VloModel | None = report.measure('model', gpu.make_model)
    if model is None:
        return None
    report.measure('live', lambda: gpu.live(model))
    report.measure('encoder', lambda: gpu.encoder(model, compiled))
    report.measure('replay', lambda: gpu.replay(model))
    reference_N: torch.Tensor | None = report.measure('reference', lambda: gpu.decisions(model, 1))
    if reference_N is not None:
        report.measure(
            'chunks',
            lambda: agreement('chunks of 32', reference_N, gpu.decisions(model, 32)),
        )
    report.measure('memory', lambda: gpu.memory(model))
    report.measure('streams', lambda: gpu.streams(model))
    return reference_N


def software(device: torch.device) -> dict[str, str]:
    """Versions of what else the figures depend on."""
    try:
        found = {'torchao': metadata.version('torchao')}
    except metadata.PackageNotFoundError:
        found = {'torchao': 'not installed'}
    if device.type == 'cuda':
        found['cuda'] = str(torch.version.cuda)
        found['cudnn'] = str(torch.backends.cudnn.version())
    return found


def _frames_of(dtype: torch.dtype) -> str:
    return f'frames_{str(dtype).removeprefix("torch.")}'


def ratios_of(result: dict[str, Any]) -> dict[str, float]:
    """The figures that have a goal, as far as their sections were measured."""
    published, live = result.get('published'), result.get('live')
    replay, encoder = result.get('replay'), result.get('encoder')
    found: dict[str, float] = {}
    if live:
        found['live_p99_ms_at_8k'] = live[-1]['p99_ms']
        found['capture_to_first_token_ms'] = live[-1]['capture_to_first_token_ms']
        found['sentence_ms'] = live[-1]['sentence_ms']
    if live and published:
        found['live_step_vs_published'] = published[-1]['step_p50_ms'] / live[-1]['p50_ms']
        found['sentence_vs_published'] = published[-1]['sentence_ms'] / live[-1]['sentence_ms']
    if replay:
        fps = max(row['end_to_end_fps'] for row in replay if 'end_to_end_fps' in row)
        found['replay_end_to_end_fps'] = fps
        found['replay_language_fps'] = max(row['language_fps'] for row in replay)
        if published:
            found['replay_vs_published_at_4k'] = fps / published[1]['fps']
    if encoder:
        found['encoder_fps'] = max(row['fps'] for row in encoder)
    for name in ('bfloat16', 'float32'):
        frames = result.get(f'frames_{name}')
        if frames and name == 'bfloat16':
            found['step_vs_baseline_at_1200'] = frames[-1]['published_ms'] / frames[-1]['ours_ms']
            found['growth_600_to_1200'] = frames[-1]['ours_ms'] / frames[1]['ours_ms']
        if frames:
            chunk_ms = frames[0]['chunk_ms_per_frame']
            found[f'chunk_vs_baseline_at_100_{name}'] = frames[0]['published_ms'] / chunk_ms
    return found


def main() -> None:
    """Measure, print one table, write JSON."""
    parser = machine.parser(__doc__)
    parser.add_argument('--tiny', action='store_true', help='try the code out, on any machine')
    parser.add_argument('--compile', action='store_true', help='also a compiled encoder')
    parser.add_argument(
        '--quantization', nargs='*', default=['float8', 'int4'], help='also these, with torchao'
    )
    parser.add_argument(
        '--minutes', type=float, default=BUDGET_MINUTES, help='begin no section after that'
    )
    arguments = parser.parse_args()
    if not arguments.tiny and not torch.cuda.is_available():
        parser.error('torch sees no GPU here; --tiny tries the code out without one')
    if arguments.tiny:
        torch.set_num_threads(1)
    report = Report(arguments.output, arguments.minutes)
    run(report, arguments.tiny, arguments.quantization, arguments.compile)
    machine.print_result(report.result)
    if report.failed:
        raise SystemExit(1)


if __name__ == '__main__':
    main()
