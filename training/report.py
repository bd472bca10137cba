# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An evaluation as a table (CSV) and as one page with plots (HTML, nothing else needed)."""

from __future__ import annotations

import base64
import csv
import html
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

_STYLE = (
    'body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem}'
    'table{border-collapse:collapse}td,th{padding:.15rem .7rem;text-align:right;'
    'border-bottom:1px solid #ddd}td:first-child,th:first-child{text-align:left}'
    'img{max-width:100%}'
)


def rows_of(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row per way and threshold."""
    rows: list[dict[str, Any]] = [
        {'way': 'teacher_forced', 'threshold': float(threshold), **metrics}
        for threshold, metrics in result['teacher_forced'].items()
    ]
    threshold = result['silence_threshold']
    for way in ('self_conditioned', 'wall_clock'):
        rows.append({'way': way, 'threshold': threshold, **result[way]})
    rows += [{'way': 'self_conditioned', **one} for one in result['sweep']]
    return rows


def write_csv(result: Mapping[str, Any], path: Path) -> None:
    """Write the rows; a score that a way does not have stays empty."""
    rows = rows_of(result)
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open('w', newline='', encoding='utf-8') as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)


def write_page(result: Mapping[str, Any], path: Path) -> None:
    """Write the page."""
    rows = rows_of(result)
    names = list(dict.fromkeys(name for row in rows for name in row))
    head = ''.join(f'<th>{html.escape(str(row["way"]))}</th>' for row in rows)
    body = ''.join(
        f'<tr><td>{html.escape(name)}</td>'
        + ''.join(f'<td>{_cell(row.get(name))}</td>' for row in rows)
        + '</tr>'
        for name in names
        if name != 'way'
    )
    plots = ''.join(
        f'<h2>{title}</h2><img alt="{title}" src="data:image/png;base64,{_png(figure)}">'
        for title, figure in _figures(result)
    )
    title = html.escape(f'{result["model"]}: {result["num_scenes"]} scenes')
    path.write_text(
        f'<!doctype html><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
        f'<h1>{title}</h1><table><tr><th>score</th>{head}</tr>{body}</table>{plots}',
        encoding='utf-8',
    )


def _figures(result: Mapping[str, Any]) -> list[tuple[str, Figure]]:
    figures = []
    if result['sweep']:
        sweep = sorted(result['sweep'], key=lambda row: row['threshold'])
        curves = ('speak_precision_1s', 'speak_recall_1s', 'speak_f1_1s', 'exact', 'silence_kept')
        figures.append(('Silence threshold', _lines(sweep, 'threshold', curves)))
    if len(result['by_minute']) > 1:
        names = ('speak_f1_1s', 'exact', 'silence_kept', 'queries_right')
        figures.append(('Minute by minute', _lines(result['by_minute'], 'minute', names)))
    figures.append(('How sure it is', _histogram(result['p_silence'])))
    return figures


def _lines(rows: Sequence[Mapping[str, float]], x: str, names: Sequence[str]) -> Figure:
    figure = Figure(figsize=(8, 4), layout='constrained')
    axes = figure.subplots()
    for name in names:
        axes.plot([row[x] for row in rows], [row[name] for row in rows], marker='o', label=name)
    axes.set(xlabel=x, ylim=(0, 1.02))
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def _histogram(counts: Mapping[str, Sequence[int]]) -> Figure:
    figure = Figure(figsize=(8, 3), layout='constrained')
    axes = figure.subplots()
    for shift, (kind, values) in enumerate(counts.items()):
        width = 1 / len(values)
        places = [(index + 0.25 + 0.5 * shift) * width for index in range(len(values))]
        axes.bar(places, values, width / 2, label=f'{kind} frames')
    axes.set(xlabel='p(silence)', ylabel='frames', yscale='symlog')
    axes.legend()
    return figure


def _png(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format='png', dpi=110)
    return base64.b64encode(buffer.getvalue()).decode('ascii')


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f'{value:.3f}'
    return '' if value is None else html.escape(str(value))
