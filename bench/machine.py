# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where a figure was measured, how time is taken, and what the device can do at best."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import peft
import torch
import transformers

from training import whole_files

ROOT = Path(__file__).resolve().parents[1]
# Above any block used here. With glibc's defaults every large block is mapped afresh, and a
# cache that grows by copying pays for page faults rather than for copies.
MALLOC = {
    'MALLOC_MMAP_THRESHOLD_': str(4 << 30),
    'MALLOC_TRIM_THRESHOLD_': str(4 << 30),
    'MALLOC_TOP_PAD_': str(64 << 20),
}


def tune_allocator(module: str) -> None:
    """Start `python -m MODULE` again with a tuned allocator; everything measured then has it."""
    if any(os.environ.get(name) != value for name, value in MALLOC.items()):
        os.execve(
            sys.executable,
            [sys.executable, '-m', module, *sys.argv[1:]],
            {**os.environ, **MALLOC},
        )


def describe(device: torch.device) -> dict[str, Any]:
    """Device, versions, commit and load, for the head of a result."""
    if device.type == 'cuda':
        name = torch.cuda.get_device_name(device)
    else:
        name = f'{_processor()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads used'
    return {
        'device': name,
        'commit': _commit(),
        'date': datetime.now(UTC).strftime('%Y-%m-%d %H:%M UTC'),
        'python': platform.python_version(),
        'torch': torch.__version__,
        'transformers': transformers.__version__,
        'peft': peft.__version__,
        'load_average': [round(load, 1) for load in os.getloadavg()],
    }


def cpu_seconds(function: Callable[[], Any]) -> float:
    """Processor time of a call on all threads, s; other programs do not count."""
    start = time.process_time()
    function()
    return time.process_time() - start


def cuda_seconds(function: Callable[[], Any]) -> float:
    """Wall time of a call until the GPU is done, s."""
    torch.cuda.synchronize()
    start = time.perf_counter()
    function()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def least_of(measure: Callable[[Callable[[], Any]], float], call: Callable[[], Any]) -> float:
    """Least of several measurements: what the device does when nothing else disturbs it."""
    call()
    return min(measure(call) for _ in range(7))


def ceilings(device: torch.device) -> dict[str, float]:
    """Measured limits: a large copy, and large products."""
    measure = cuda_seconds if device.type == 'cuda' else cpu_seconds
    num = (1 << 30) if device.type == 'cuda' else (1 << 27)
    source = torch.ones(num, dtype=torch.bfloat16, device=device)
    target = torch.empty_like(source)
    copy = least_of(measure, partial(target.copy_, source))
    found = {'copy_gb_per_s': 2 * 2 * num / copy / 1e9}
    del source, target
    size = 8192 if device.type == 'cuda' else 1536
    for dtype in (torch.float32, torch.bfloat16):
        left = torch.randn(size, size, device=device, dtype=dtype)
        taken = least_of(measure, partial(torch.matmul, left, left))
        found[f'product_{_name(dtype)}_gflop_per_s'] = 2 * size**3 / taken / 1e9
    return found


def percentiles(seconds: list[float]) -> dict[str, float]:
    """Middle and tail of step times, in ms."""
    ordered = sorted(seconds)
    last = len(ordered) - 1
    return {
        'p50_ms': statistics.median(ordered) * 1e3,
        'p95_ms': ordered[round(0.95 * last)] * 1e3,
        'p99_ms': ordered[round(0.99 * last)] * 1e3,
    }


def rounded(value: Any) -> Any:
    """The same with floats cut to 4 significant digits."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return float(f'{value:.4g}') if isinstance(value, float) else value


def parser(doc: str | None) -> argparse.ArgumentParser:
    """A benchmark's command line, which may name the file for its result."""
    made = argparse.ArgumentParser(description=(doc or '').partition('\n')[0])
    made.add_argument('--output', type=Path, help='JSON file to write')
    return made


def write_result(path: Path | None, result: dict[str, Any]) -> None:
    """Print a result as a table and write it as JSON."""
    print_result(result)
    write_json(path, result)


def write_json(path: Path | None, result: dict[str, Any]) -> None:
    """Write a result where people asked for it, whole or not at all."""
    if path:
        whole_files.write_json(path, rounded(result), indent=2)


def print_result(result: dict[str, Any]) -> None:
    """Print a result as a table."""
    for section, content in rounded(result).items():
        print(f'\n{section}')
        rows = content if isinstance(content, list) else [content]
        if rows and isinstance(content, list):
            names = list(dict.fromkeys(name for row in rows for name in row))
            lines = [names, *([str(row.get(name, '')) for name in names] for row in rows)]
            widths = [max(len(line[column]) for line in lines) for column in range(len(names))]
            for line in lines:
                cells = zip(line, widths, strict=True)
                print('  ' + '  '.join(cell.ljust(width) for cell, width in cells))
        else:
            for name, value in rows[0].items():
                print(f'  {name:36} {value}')


def _commit() -> str:
    if shutil.which('git') is None:
        return 'unknown'
    git = subprocess.run(
        ['git', 'describe', '--always', '--dirty', '--abbrev=12'],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return git.stdout.strip() or 'unknown'


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix('torch.')


def _processor() -> str:
    try:
        lines = Path('/proc/cpuinfo').read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(':')[2].strip() for line in lines if line.startswith('model name')]
    return names[0] if names else platform.machine()
