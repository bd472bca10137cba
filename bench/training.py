# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What training costs: the gathered language head, packing, and checkpointing of activations.

    python -m bench.training --output OUT.json              two CPU cores, a few minutes
    python -m bench.training --shape 8b --output OUT.json   one GPU: LoRA on 8,192 positions
    python -m bench.training --shape tiny                   the same code, figures of no use

Random weights. Every row is a process of its own, so that its peak memory is its own too.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from bench import machine
from bench.training_step import SHAPES, Case, measure
from training.throughput import peak_tflops

NS = 'bench.training'


@dataclass(frozen=True)
class Row:
    """A line of the table: what is compared, and the case."""

    table: str
    name: str
    case: Case


def rows_of(shape: str, seed: int) -> list[Row]:
    """What is measured at a shape."""
    plain = Case(shape, head='plain', seed=seed)
    rows = [
        Row('head', 'gathered', Case(shape, seed=seed)),
        Row('head', 'every position', plain),
        Row('memory', 'activations kept', Case(shape, seed=seed)),
        Row('memory', 'activations recomputed', Case(shape, checkpointing=True, seed=seed)),
        Row('batches', 'padded', Case(shape, batches='padded', seed=seed)),
        Row('batches', 'packed', Case(shape, batches='packed', seed=seed)),
    ]
    if shape == '8b':
        # Without recomputing, 8,192 positions of the 8B model leave no room to compare in.
        rows = [
            Row(row.table, row.name, Case(**{**asdict(row.case), 'checkpointing': True}))
            if row.table != 'memory'
            else row
            for row in rows
        ]
    return rows


def main() -> None:
    """Measure and print three tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--shape', choices=list(SHAPES), help='default: 8b on a GPU, else small')
    parser.add_argument('--threads', type=int, default=2, help='CPU threads')
    parser.add_argument('--steps', type=int, default=3, help='steps that are timed')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--output', type=Path, help='JSON')
    parser.add_argument('--row', help=argparse.SUPPRESS)  # one row, in a process of its own
    args = parser.parse_args()
    if args.row:
        torch.set_num_threads(args.threads)
        print(json.dumps(measure(Case(**json.loads(args.row)), args.steps)))
        return
    device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    torch.set_num_threads(args.threads)
    shape = args.shape or ('8b' if device.type == 'cuda' else 'small')
    peak = peak_tflops()
    began = time.monotonic()
    result: dict[str, Any] = {'machine': machine.describe(device)}
    result['run'] = {'shape': shape, 'steps': args.steps, 'peak_tflops': peak}
    for row in rows_of(shape, args.seed):
        found = _in_own_process(row.case, args)
        if peak and 'tflops' in found:
            found['mfu'] = found['tflops'] / peak
        result.setdefault(row.table, []).append({'way': row.name, **found})
    result['run']['minutes'] = (time.monotonic() - began) / 60
    machine.write_result(args.output, result)


def _in_own_process(case: Case, args: argparse.Namespace) -> dict[str, Any]:
    command = [
        sys.executable, '-m', NS, '--row', json.dumps(asdict(case)),
        '--threads', str(args.threads), '--steps', str(args.steps),
    ]  # fmt: skip
    done = subprocess.run(command, cwd=machine.ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or [f'exit status {done.returncode}']
        return {'failed': last[0][:200]}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == '__main__':
    main()
