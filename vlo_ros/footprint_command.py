# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`vlo check-model`: the footprint of a model, for people or as JSON."""

from __future__ import annotations

import json
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from vlo_ros.config import VloConfig
from vlo_ros.errors import CheckpointError
from vlo_ros.footprint import GB, LINEAR_BYTES, Footprint, measure
from vlo_ros.model_files import ModelFiles

ROWS = {
    'float32': 'float32',
    'bfloat16': 'bfloat16, float16',
    'int8': 'int8, float8',
    'int4': 'int4 (cuda)',
}


def run_check(name: str, config: VloConfig, *, as_json: bool) -> None:
    """Print what `config` needs; `name` is what the person typed.

    Raises:
        CheckpointError: Files are missing (after printing), or sizes cannot be known.
    """
    footprint = measure(config)
    if as_json:
        typer.echo(json.dumps(describe(name, footprint), indent=2))
    else:
        _print(name, footprint)
    missing = footprint.missing()
    if missing:
        raise CheckpointError('; '.join(missing))


def describe(name: str, footprint: Footprint) -> dict[str, Any]:
    """The footprint as plain data; memory in GB of 10^9 bytes."""
    dtypes = list(LINEAR_BYTES)
    return {
        'model': name,
        'parts': [
            {
                'setting': part.setting,
                'name': part.name,
                'folder': None if part.folder is None else str(part.folder),
                'missing': list(part.missing),
            }
            for part in footprint.files
        ],
        'parameters': {**footprint.parameters, 'total': footprint.num_parameters},
        'frame_num_tokens': footprint.frame_num_tokens,
        'tokens_per_frame': footprint.tokens_per_frame,
        'frame_fps': footprint.frame_fps,
        'window_tokens': footprint.window_tokens,
        'window_minutes': footprint.window_minutes,
        'weights_gb': {dtype: footprint.weight_bytes(dtype) / GB for dtype in dtypes},
        'cache_bytes_per_token': {
            dtype: footprint.cache_bytes_per_token(dtype) for dtype in dtypes
        },
        'cache_gb_per_minute': {
            dtype: footprint.cache_bytes_per_minute(dtype) / GB for dtype in dtypes
        },
        'cache_gb_window': {dtype: footprint.window_bytes(dtype) / GB for dtype in dtypes},
        'total_gb': {dtype: footprint.total_bytes(dtype) / GB for dtype in dtypes},
        'fits': {dtype: footprint.fits(dtype) for dtype in dtypes},
        'dtype': footprint.dtype,
        'device': {
            'name': footprint.device,
            'memory_gb': footprint.device_bytes / GB,
            'free_gb': footprint.device_free_bytes / GB,
        },
        'notes': footprint.notes,
    }


def _print(name: str, footprint: Footprint) -> None:
    console = Console(highlight=False)
    console.print(f'[bold]{name}[/bold]')
    parts = Table(box=None, pad_edge=False, header_style='dim')
    for heading in ('part', 'parameters', 'where'):
        parts.add_column(heading, justify='right' if heading == 'parameters' else 'left')
    names = {'llm': 'language', 'vision': 'vision', 'connector': 'connector'}
    for part in footprint.files:
        number = footprint.parameters.get(names.get(part.setting, ''))
        parts.add_row(part.setting, '' if number is None else _count(number), _where(part))
    settings = {part.setting for part in footprint.files}
    if 'connector' not in settings:
        where = 'in the adapter' if 'adapter' in settings else 'not trained yet'
        parts.add_row('connector', _count(footprint.parameters['connector']), where)
    parts.add_row('all', _count(footprint.num_parameters), '')
    console.print(parts)

    console.print(
        f'\none frame: {footprint.frame_num_tokens} tokens, {footprint.tokens_per_frame} '
        f'positions; window: {footprint.window_tokens} positions, '
        f'{footprint.window_minutes:.1f} min of silence at {footprint.frame_fps:g} frames/s\n'
    )
    memory = Table(box=None, pad_edge=False, header_style='dim')
    memory.add_column('GB')
    for heading in ('weights', 'cache/min', 'cache, window', 'all, about', 'fits here'):
        memory.add_column(heading, justify='right')
    for dtype, label in ROWS.items():
        memory.add_row(
            label,
            _gb(footprint.weight_bytes(dtype)),
            _gb(footprint.cache_bytes_per_minute(dtype)),
            _gb(footprint.window_bytes(dtype)),
            _gb(footprint.total_bytes(dtype)),
            'yes' if footprint.fits(dtype) else 'no',
            style='bold' if footprint.dtype in label else None,
        )
    console.print(memory)
    per_token = footprint.cache_bytes_per_token('bfloat16')
    console.print(
        f'\nKV cache: {per_token:,.0f} bytes a position in 16 bits. Here: {footprint.device}, '
        f'{_gb(footprint.device_bytes)} GB, {_gb(footprint.device_free_bytes)} GB free; it would '
        f'take {footprint.dtype}'
    )
    for note in footprint.notes:
        console.print(f'[yellow]{note}[/yellow]')


def _where(part: ModelFiles) -> str:
    if part.folder is None:
        return f'{part.name} (hub, not on this machine)'
    where = f'{part.name} (hub, cached)' if part.is_cached_from_hub else part.name
    return f'{where}, {_gb(part.num_bytes)} GB of files'


def _count(number: int) -> str:
    return f'{number / 1e6:,.1f} M'


def _gb(num_bytes: float) -> str:
    return f'{num_bytes / GB:.4g}'
