# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writes episodes in the layout of Ego4D, so that the builders of the published data read them.

    python -m training.rendered_world.export --root DIR [--tower DIR] [--train 40] [--val 10]

DIR then holds datasets/ego4d/v2/{annotations/*.json, full_scale/UID.mp4} and, with a tower,
the features and their metadata file as the published encoder writes them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from training.datasets.layout import EGO4D
from training.datasets.splits import BENCHMARKS
from training.rendered_world.conversation import Stretch, draw_questions, narrations_by_frame
from training.rendered_world.features import FPS, encode, open_tower
from vlo_ros.rendered_world import Episode
from vlo_ros.rendered_world.script import TICKS_PER_SECOND
from vlo_ros.rendered_world.video import write_mp4


@dataclass(frozen=True)
class Video:
    """One exported episode; `part` is train or val."""

    episode: Episode
    seconds: float
    part: str

    @property
    def uid(self) -> str:
        """Name of the video everywhere in the export."""
        return f'rendered-{self.episode.split}-{self.episode.seed}'


def narration_file(videos: Iterable[Video]) -> dict[str, Any]:
    """`all_narrations_redacted.json`."""
    found = {}
    for video in videos:
        found[video.uid] = {
            'narrations': [
                {'time': n.time, 'text': n.ego4d_text, '_annotation_uid': f'{video.uid}-exact'}
                for n in video.episode.narrations(0, video.seconds)
            ],
            'summaries': [],
        }
    return {'videos': found}


def refined_file(videos: Iterable[Video]) -> dict[str, Any]:
    """`refined_narration_stream_SPLIT.json`: the same in the second person."""
    return {
        video.uid: {
            f'{video.uid}-exact': [
                {'time': n.time, 'text': n.text}
                for n in video.episode.narrations(0, video.seconds)
            ]
        }
        for video in videos
    }


def goalstep_file(videos: Iterable[Video]) -> dict[str, Any]:
    """`goalstep_SPLIT.json`: goals with their steps as segments of segments."""
    found = []
    for video in videos:
        goals: dict[int, dict[str, Any]] = {}
        for step in video.episode.steps(video.seconds):
            start = step.start / TICKS_PER_SECOND
            end = min(step.end / TICKS_PER_SECOND, video.seconds)
            goal = goals.setdefault(step.goal, _segment(start, end, step.goal_text))
            goal['end_time'] = end
            goal.setdefault('segments', []).append(_segment(start, end, step.text))
        found.append(
            {
                'video_uid': video.uid,
                'start_time': 0.0,
                'end_time': video.seconds,
                'goal_category': 'HOUSEHOLD',
                'goal_description': 'Work in the kitchen',
                'goal_wording': 'Work in the kitchen',
                'summary': [goal['step_category'] for goal in goals.values()],
                'segments': list(goals.values()),
            }
        )
    return {'videos': found}


def _segment(start: float, end: float, text: str) -> dict[str, Any]:
    return {
        'start_time': start,
        'end_time': end,
        'step_category': text,
        'step_description': text,
        'is_continued': False,
        'is_procedural': True,
        'is_relevant': 'essential',
    }


def livechat_file(videos: Sequence[Video]) -> list[dict[str, Any]]:
    """`goalstep_livechat_trainval_filtered_21k.json`: questions, true answers, narrations."""
    found = []
    for video in videos:
        stretch = Stretch(0.0, int(video.seconds * FPS), FPS)
        rng = np.random.default_rng((video.episode.seed, 9))
        said = narrations_by_frame(video.episode, stretch)
        asked = draw_questions(video.episode, stretch, 12.0, rng, said)
        if not asked:
            continue
        turns = []
        for index in sorted({*said, *asked}):
            time = stretch.time(index)
            if index in asked:
                turns.append({'role': 'user', 'content': asked[index].text, 'time': time})
                turns.append({'role': 'assistant', 'content': asked[index].answer, 'time': time})
            elif turns:
                turns.append({'role': 'assistant', 'content': said[index], 'time': time})
        found.append({'video_uid': video.uid, 'conversation': turns, 'duration': video.seconds})
    return found


def benchmark_files(videos: Sequence[Video]) -> dict[str, Any]:
    """The benchmarks' files, from which the splits are read; only goalstep has videos."""
    files: dict[str, Any] = {}
    for name, key in BENCHMARKS.items():
        for part in ('train', 'val', 'test_unannotated'):
            files[f'{name}_{part}.json'] = {key: []}
    for part in ('train', 'val'):
        files[f'goalstep_{part}.json'] = goalstep_file(v for v in videos if v.part == part)
    return files


def export_ego4d(
    root: Path,
    videos: Sequence[Video],
    tower_folder: Path | None = None,
    video_size: int | None = None,
) -> None:
    """Write annotations, and features and mp4 files where asked for.

    Args:
        root: Folder that will hold datasets/ego4d/v2.
        videos: What to write.
        tower_folder: A trained tower; None writes no features but still their metadata.
        video_size: Side of the mp4 pictures in pixels; None writes no mp4.
    """
    base = root / EGO4D
    notes = base / 'annotations'
    notes.mkdir(parents=True, exist_ok=True)
    files = benchmark_files(videos)
    files['all_narrations_redacted.json'] = narration_file(videos)
    for part in ('train', 'val'):
        files[f'refined_narration_stream_{part}.json'] = refined_file(
            v for v in videos if v.part == part
        )
    files['goalstep_livechat_trainval_filtered_21k.json'] = livechat_file(videos)
    for name, content in files.items():
        (notes / name).write_text(json.dumps(content))

    tower = open_tower(tower_folder) if tower_folder else None
    size = tower.resolution if tower else 96
    stem = f'full_scale_{FPS:g}fps_{size}_1+3x3_rendered'
    metadata = {}
    for video in videos:
        path = base / stem / f'{video.uid}.pt'
        stretch = Stretch(0.0, int(video.seconds * FPS), FPS)
        metadata[video.uid] = {'duration': (stretch.num_frames - 1) / FPS, 'path': str(path)}
        if tower:
            path.parent.mkdir(exist_ok=True)
            torch.save(encode(tower, video.episode, stretch), path)
        if video_size:
            (base / 'full_scale').mkdir(exist_ok=True)
            write_mp4(
                base / 'full_scale' / f'{video.uid}.mp4', video.episode, video.seconds, video_size
            )
    (base / f'{stem}_metadata.json').write_text(json.dumps(metadata))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--root', type=Path, required=True)
    parser.add_argument('--tower', type=Path, help='trained tower; writes features')
    parser.add_argument('--train', type=int, default=40, help='training videos')
    parser.add_argument(
        '--val', type=int, default=10, help='validation videos, of the split "new"'
    )
    parser.add_argument('--first-seed', type=int, default=60_000_000)
    parser.add_argument('--seconds', type=float, default=60.0)
    parser.add_argument(
        '--video-size', type=int, help='also write mp4 files of this side, in pixels'
    )
    args = parser.parse_args()
    videos = [
        Video(Episode(args.first_seed + i, 'train'), args.seconds, 'train')
        for i in range(args.train)
    ]
    videos += [
        Video(Episode(args.first_seed + i, 'new'), args.seconds, 'val') for i in range(args.val)
    ]
    export_ego4d(args.root, videos, args.tower, args.video_size)


if __name__ == '__main__':
    main()
