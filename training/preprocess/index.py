# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a feature folder holds: the metadata file that builders read, and a report for people."""

from __future__ import annotations

from collections.abc import Sequence
from glob import escape
from pathlib import Path
from typing import Any

from training.features import FeatureError
from training.preprocess.encode import Outcome
from training.preprocess.feature_file import OFFICIAL_SUFFIX, SUFFIX, read_header
from training.whole_files import PARTIAL, write_json


def metadata_path(output: Path) -> Path:
    """Where builders look for it: beside the feature folder, as published."""
    return output.with_name(f'{output.name}_metadata.json')


def report_path(output: Path) -> Path:
    """Beside the feature folder."""
    return output.with_name(f'{output.name}_report.json')


def remove_partial_files(output: Path) -> None:
    """Remove what killed runs were writing, in the feature folder and beside it."""
    partial = [*output.glob(f'.*{PARTIAL}')]
    for path in (metadata_path(output), report_path(output)):
        partial += path.parent.glob(f'.{escape(path.name)}.*{PARTIAL}')
    for path in partial:
        path.unlink(missing_ok=True)


def write_index(output: Path, fps: float) -> int:
    """Write `{uid: {duration, path}}` of every feature file in `output`; return how many.

    A file that is damaged is left out; the report has said so or a next run makes it again.

    Args:
        output: Feature folder, ours or official.
        fps: Frames per second of official files, which do not say.
    """
    entries = {}
    for path in sorted(output.iterdir()):
        if path.suffix not in (SUFFIX, OFFICIAL_SUFFIX) or path.stem in entries:
            continue
        try:
            header = read_header(path)
        except FeatureError:
            continue
        duration = (header.num_frames - 1) / (header.fps or fps)
        entries[path.stem] = {'duration': duration, 'path': str(path)}
    write_json(metadata_path(output), entries, indent=1)
    return len(entries)


def write_report(output: Path, outcomes: Sequence[Outcome], lost: Sequence[str]) -> dict[str, Any]:
    """Write and return how the recordings of a run went.

    Args:
        output: Feature folder.
        outcomes: One for each recording that was finished, in any order.
        lost: Why parts of the run were lost with all their recordings.
    """
    in_order = sorted(outcomes, key=lambda outcome: outcome.job.uid)
    headers = [outcome.header for outcome in in_order if outcome.header is not None]
    report = {
        'recordings': len(in_order),
        'frames': sum(header.num_frames for header in headers),
        'unreadable': [
            {'uid': outcome.job.uid, 'source': outcome.job.source, 'reason': outcome.damage}
            for outcome in in_order
            if outcome.header is None
        ],
        'damaged': [
            {
                'uid': outcome.job.uid,
                'source': outcome.job.source,
                'reason': outcome.damage,
                'frames_kept': outcome.header.num_frames,
            }
            for outcome in in_order
            if outcome.header is not None and outcome.damage
        ],
        'with_holes': [
            {
                'uid': outcome.job.uid,
                'hole_s': round(outcome.header.hole_s, 3),
                'filled': outcome.header.gaps == 'fill',
            }
            for outcome in in_order
            if outcome.header is not None and outcome.header.hole_s
        ],
        'stamps_went_back': [
            {'uid': outcome.job.uid, 'streams': outcome.header.num_parts}
            for outcome in in_order
            if outcome.header is not None and outcome.header.num_parts > 1
        ],
        'lost': list(lost),
    }
    write_json(report_path(output), report, indent=1)
    return report
