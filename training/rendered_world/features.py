# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Frame features and conversations of many episodes, for training the language model.

    python -m training.rendered_world.features --tower DIR --output DIR --shards 64

Writes shards of (frames, 10, V) bfloat16 and SPLIT.json, a list of
{"conversation": [...], "load_ranges": {shard file: [first frame, frame after the last)}}.
SPLIT_practice.json has the same frames with many more questions: looking up what lies there and
which hand is meant is learned last, and from ordinary conversations not at all. SPLIT_drill.json
has them with everything asked at once.
Shards that are there already are kept; a folder made with other settings is refused.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing as mp
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import SiglipVisionModel

from training import whole_files
from training.datasets.sample import Message
from training.rendered_world.conversation import PRACTICE_ODDS, Stretch, converse, drill
from training.rendered_world.frame_pool import draw_size, picture
from vlo_ros.rendered_world import Episode
from vlo_ros.vision import TOWERS, VisionTower

FPS = 2.0
# Training seeds from here on are never shown to the tower (its own begin at 0).
FIRST_SEED = 50_000_000
SHARD_EPISODES = 32
PRACTICE_EVERY_S = 1.0  # between the questions of the second conversations
LENGTHS_S = (16, 32, 64, 120, 240)
LENGTH_ODDS = (0.25, 0.35, 0.2, 0.12, 0.08)


@dataclass(frozen=True)
class Job:
    """One shard: which episodes, from which tower, into which file."""

    tower: Path
    output: Path
    split: str
    first_seed: int
    index: int
    lengths_s: tuple[int, ...]
    length_odds: tuple[float, ...]
    question_every_s: float


def draw_stretch(
    seed: int, lengths_s: tuple[int, ...], odds: tuple[float, ...]
) -> tuple[Stretch, np.random.Generator]:
    """Which part of an episode a sample shows; starts anywhere in its first two minutes."""
    rng = np.random.default_rng((seed, 5))
    weights = np.array(odds)
    length = lengths_s[int(rng.choice(len(lengths_s), p=weights / weights.sum()))]
    start = round(float(rng.uniform(0, 120)), 1)
    return Stretch(start, int(length * FPS), FPS), rng


def make_shard(job: Job) -> list[dict[str, object]]:
    """Render, encode and describe the episodes of one shard."""
    import cv2

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    file = job.output / f'{job.split}_{job.index:05d}.pt'
    tower = None if file.exists() else open_tower(job.tower)
    samples: list[dict[str, object]] = []
    parts = []
    first = 0
    for k in range(SHARD_EPISODES):
        seed = job.first_seed + job.index * SHARD_EPISODES + k
        stretch, rng = draw_stretch(seed, job.lengths_s, job.length_odds)
        episode = Episode(seed, job.split)
        conversation: list[Message] = converse(episode, stretch, rng, job.question_every_s)
        if tower is not None:
            drawn_size = draw_size(tower.resolution, rng)
            parts.append(encode(tower, episode, stretch, drawn_size))
        end = first + stretch.num_frames
        practice_rng = np.random.default_rng((seed, 8))
        practice = converse(episode, stretch, practice_rng, PRACTICE_EVERY_S, PRACTICE_ODDS)
        drilled = drill(episode, stretch, np.random.default_rng((seed, 9)))
        kinds = {'': conversation, '_practice': practice, '_drill': drilled}
        samples.append({'kinds': kinds, 'load_ranges': {str(file): [first, end]}})
        first = end
    if tower is not None:
        partial = whole_files.partial_path(file)
        torch.save(torch.cat(parts), partial)
        partial.replace(file)
    return samples


def open_tower(folder: Path) -> VisionTower:
    """The trained tower in bfloat16."""
    model = SiglipVisionModel.from_pretrained(
        folder,
        dtype=torch.bfloat16,
        attn_implementation='eager',
        use_safetensors=True,
        trust_remote_code=False,
    )
    return VisionTower(model, TOWERS['siglip'], use_patches=True)


def encode(
    tower: VisionTower, episode: Episode, stretch: Stretch, drawn_size: int | None = None
) -> torch.Tensor:
    """Features of every frame of a stretch, (frames, 10, V) bfloat16."""
    size = tower.resolution
    parts = []
    for low in range(0, stretch.num_frames, 64):
        rows = range(low, min(low + 64, stretch.num_frames))
        pictures = np.stack(
            [picture(episode, stretch.time(i), size, drawn_size or size) for i in rows]
        )
        parts.append(tower.encode(torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous()))
    return torch.cat(parts).to(torch.bfloat16)


def same_settings(args: argparse.Namespace) -> bool:
    """Note what a folder is made with; False where it was begun with something else."""
    weights = (args.tower / 'model.safetensors').read_bytes()
    settings = {
        'tower': hashlib.sha256(weights).hexdigest(),
        'first_seed': args.first_seed,
        'lengths': list(args.lengths),
        'odds': list(args.odds),
    }
    path = args.output / f'{args.split}_settings.json'
    if path.exists():
        return bool(json.loads(path.read_text()) == settings)
    whole_files.write_json(path, settings)
    return True


def write_conversations(output: Path, split: str, samples: Sequence[Mapping[str, Any]]) -> None:
    """Write each kind of conversation about the same frames into a file of its own."""
    for kind in samples[0]['kinds']:
        content = [
            {'conversation': one['kinds'][kind], 'load_ranges': one['load_ranges']}
            for one in samples
        ]
        whole_files.write_json(output / f'{split}{kind}.json', content)


def make_features(jobs: list[Job], workers: int) -> Iterator[list[dict[str, object]]]:
    """Every shard's samples, in order."""
    if workers <= 1:
        yield from map(make_shard, jobs)
        return
    with mp.get_context('spawn').Pool(workers) as pool:
        yield from pool.imap(make_shard, jobs)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--tower', type=Path, required=True)
    parser.add_argument('--output', type=Path, required=True)
    parser.add_argument('--split', default='train')
    parser.add_argument('--first-seed', type=int, default=FIRST_SEED)
    parser.add_argument('--shards', type=int, default=8, help=f'{SHARD_EPISODES} episodes each')
    parser.add_argument(
        '--lengths', type=int, nargs='+', default=LENGTHS_S, help='seconds, drawn with --odds'
    )
    parser.add_argument('--odds', type=float, nargs='+', default=LENGTH_ODDS)
    parser.add_argument(
        '--question-every', type=float, default=10.0, help='seconds between questions, 0: none'
    )
    parser.add_argument('--workers', type=int, default=1)
    args = parser.parse_args()
    if len(args.lengths) != len(args.odds):
        parser.error(f'--odds: got {len(args.odds)} values, accepted are {len(args.lengths)}')
    args.output.mkdir(parents=True, exist_ok=True)
    if not same_settings(args):
        parser.error(f'--output: {args.output} was begun with other settings; name another')
    jobs = [
        Job(
            tower=args.tower,
            output=args.output.resolve(),
            split=args.split,
            first_seed=args.first_seed,
            index=index,
            lengths_s=tuple(args.lengths),
            length_odds=tuple(args.odds),
            question_every_s=args.question_every,
        )
        for index in range(args.shards)
    ]
    samples: list[dict[str, object]] = []
    for index, part in enumerate(make_features(jobs, args.workers)):
        samples += part
        print(
            f'{args.split}: shard {index + 1} of {args.shards}, {len(samples)} samples', flush=True
        )
    write_conversations(args.output, args.split, samples)


if __name__ == '__main__':
    main()
