# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What was made, in figures (JSON) and as a page with plots (HTML)."""

from __future__ import annotations

import base64
import html
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, median
from typing import Any

from training.synthesis.filters import leaks_time
from training.synthesis.livechat import Dialogue
from training.whole_files import write_json, write_text

Histogram = tuple[str, str, Sequence[float]]  # title, unit, values


def livechat_figures(made: Sequence[Dialogue], kept: Sequence[Dialogue]) -> dict[str, Any]:
    """Figures of dialogues.

    Args:
        made: All that were written.
        kept: Those that passed the filters.
    """
    said = [line for dialogue in kept for line in dialogue.lines if line.role == 'assistant']
    asked = [line for dialogue in kept for line in dialogue.lines if line.role == 'user']
    leaking = sum(any(leaks_time(line.content) for line in one.lines) for one in made)
    return {
        'dialogues': len(kept),
        'videos': len({dialogue.uid for dialogue in kept}),
        'hours': sum(dialogue.duration for dialogue in kept) / 3600,
        'questions': len(asked),
        'responses': len(said),
        'responses_per_minute': _mean([responses_per_minute(dialogue) for dialogue in kept]),
        'words_per_response': _mean([len(line.content.split()) for line in said]),
        'words_per_question': _mean([len(line.content.split()) for line in asked]),
        'different_responses': len({line.content for line in said}) / max(1, len(said)),
        'leak_rate': leaking / max(1, len(made)),
        'leak_rate_kept': sum(leaks_time(line.content) for line in said) / max(1, len(said)),
        'question_kinds': dict(sorted(Counter(k for one in kept for k in one.kinds).items())),
    }


def livechat_histograms(kept: Sequence[Dialogue]) -> list[Histogram]:
    """What the page draws of dialogues."""
    said = [line for dialogue in kept for line in dialogue.lines if line.role == 'assistant']
    return [
        ('Responses per minute', 'per minute', [responses_per_minute(one) for one in kept]),
        ('Words per response', 'words', [len(line.content.split()) for line in said]),
        ('Length', 'minutes', [one.duration / 60 for one in kept]),
        ('Turns per dialogue', 'turns', [len(one.lines) for one in kept]),
    ]


def refined_figures(
    tracks: Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]],
) -> dict[str, Any]:
    """Figures of rewritten narrations, {uid: {annotator: [{time, text}]}}."""
    lines = [line for one in tracks.values() for track in one.values() for line in track]
    rates = _rates(tracks)
    second_person = sum('you' in str(line['text']).lower().split() for line in lines)
    return {
        'videos': len(tracks),
        'streams': sum(len(one) for one in tracks.values()),
        'narrations': len(lines),
        'narrations_per_minute': _mean(rates),
        'words_per_narration': _mean([len(str(line['text']).split()) for line in lines]),
        'say_you': second_person / max(1, len(lines)),
        'leak_rate_kept': sum(leaks_time(str(line['text'])) for line in lines)
        / max(1, len(lines)),
    }


def refined_histograms(
    tracks: Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]],
) -> list[Histogram]:
    """What the page draws of rewritten narrations."""
    lines = [line for one in tracks.values() for track in one.values() for line in track]
    return [
        ('Narrations per minute', 'per minute', _rates(tracks)),
        ('Words per narration', 'words', [len(str(line['text']).split()) for line in lines]),
    ]


def responses_per_minute(dialogue: Dialogue) -> float:
    """How often the assistant speaks from the first line to the last."""
    said = sum(line.role == 'assistant' for line in dialogue.lines)
    span_s = dialogue.lines[-1].time - dialogue.lines[0].time
    return 60 * said / max(span_s, 1.0)


def write_report(
    folder: Path, title: str, figures: Mapping[str, Any], histograms: Sequence[Histogram]
) -> None:
    """Write `report.json` and `report.html`, which needs nothing beside it.

    Raises:
        VloError: They cannot be written.
    """
    write_json(folder / 'report.json', dict(figures))
    rows = ''.join(
        f'<tr><td>{html.escape(name.replace("_", " "))}</td>'
        f'<td>{html.escape(_shown(value))}</td></tr>'
        for name, value in figures.items()
    )
    plots = ''.join(_plot(*one) for one in histograms if one[2])
    page = f"""<!doctype html><html lang="en"><meta charset="utf-8">
<title>{html.escape(title)}</title>
<style>body{{font:15px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#222}}
table{{border-collapse:collapse}}td{{padding:.15em 1.2em .15em 0;border-bottom:1px solid #ddd;
vertical-align:top}}td+td{{font-variant-numeric:tabular-nums}}img{{width:24em;max-width:100%}}
</style><h1>{html.escape(title)}</h1><table>{rows}</table>{plots}</html>
"""
    write_text(folder / 'report.html', page)


def _rates(tracks: Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]]) -> list[float]:
    rates = []
    for one in tracks.values():
        for track in one.values():
            if len(track) > 1:
                span_s = float(track[-1]['time']) - float(track[0]['time'])
                rates.append(60 * len(track) / max(span_s, 1.0))
    return rates


def _mean(values: Sequence[float]) -> float:
    return fmean(values) if values else 0.0


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f'{value:.3g}'
    if isinstance(value, Mapping):
        return ', '.join(f'{name}: {_shown(one)}' for name, one in value.items())
    return str(value)


def _plot(title: str, unit: str, values: Sequence[float]) -> str:
    """One histogram as an image inside the page."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.8, 3.0), layout='constrained')
    axes = figure.add_subplot()
    axes.hist(values, bins=min(40, max(5, len(set(values)))), color='#2a6f97')
    axes.set_title(f'{title} (median {median(values):.3g})', fontsize=11)
    axes.set_xlabel(unit)
    axes.spines[['top', 'right']].set_visible(False)
    image = io.BytesIO()
    figure.savefig(image, format='png', dpi=110)
    data = base64.b64encode(image.getvalue()).decode()
    return f'<img alt="{html.escape(title)}" src="data:image/png;base64,{data}">'
