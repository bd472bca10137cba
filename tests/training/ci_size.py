# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The CI-size run, from rendering to the scores of a seeing model and its blind twin.

python -m tests.training.ci_size --seeds 1 2 3 --output scores.json

The blind twin is trained and scored in the same way on zeros: what text and chance alone can do.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import multiprocessing
import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from training.evaluate import evaluate
from training.finetune import finetune
from training.recipe_file import load_recipe
from training.rendered_world.features import Job, make_features, write_conversations
from training.rendered_world.train_tower import TowerTraining, train
from training.scenes import world_scenes
from vlo_ros.checkpoint import load_model
from vlo_ros.config import load_config

CONFIG = Path(__file__).parents[2] / 'config' / 'training'
NUM_SHARDS = 6
WORLDS = range(700_000, 700_008)  # never rendered for training
MINUTES = 0.4
SHOWN = ('speak_f1_1s', 'speak_f1_0_5s', 'word_f1', 'silence_kept_strict', 'exact_of_all')
FORCED = ('lm_ppl', 'lm_correctness')


def run(folder: Path, seed: int) -> dict[str, dict[str, float]]:
    """Train a tower, encode episodes, train and score both twins.

    Args:
        folder: For everything that is made.
        seed: Of everything drawn, the training episodes included.

    Returns:
        Scores of 'seeing' and 'blind', and 'cost' in seconds.
    """
    began = time.monotonic()
    folder = folder.resolve()
    tower = TowerTraining.load(CONFIG / 'rendered_world_ci_tower.yaml')
    train(
        dataclasses.replace(
            tower, output_dir=str(folder), seed=seed, first_seed=1_000_000 * (seed - 1)
        )
    )
    towered = time.monotonic()
    jobs = [
        Job(
            folder / 'tower', folder, 'train', 50_000_000 + 10_000 * seed, index, (32,), (1.0,), 10
        )
        for index in range(NUM_SHARDS)
    ]
    samples = [one for part in make_features(jobs, workers=2) for one in part]
    write_conversations(folder, 'train', samples)
    encoded = time.monotonic()
    spawn = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(2, mp_context=spawn) as pool:
        twins = [pool.submit(train_and_score, folder, seed, blind) for blind in (False, True)]
        seeing, blind = (twin.result() for twin in twins)
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cost = {
        'tower_s': towered - began,
        'features_s': encoded - towered,
        'twins_s': time.monotonic() - encoded,
        'cpu_s': sum(one.ru_utime + one.ru_stime for one in used),
    }
    return {'seeing': seeing, 'blind': blind, 'cost': cost}


def train_and_score(folder: Path, seed: int, blind: bool) -> dict[str, float]:
    """Train one twin on the features and score it on fresh worlds."""
    output = folder / ('blind' if blind else 'seeing')
    changes = {
        'output': output, 'vision': folder / 'tower', 'train.seed': seed,
        'data.features': [str(folder)], 'data.conversations': [str(folder / 'train.json')],
        'data.blind': str(blind).lower(),
    }  # fmt: skip
    began = time.process_time()
    finetune(
        load_recipe(
            CONFIG / 'rendered_world_ci.yaml',
            [f'{name}={value}' for name, value in changes.items()],
        )
    )
    trained = time.process_time()
    config = load_config(output / 'model.yaml', device='cpu')
    model = load_model(config.model)
    fps = config.stream.frame_fps
    result = evaluate(
        model, config.stream, list(world_scenes(model, WORLDS, 'new', MINUTES, fps, blind=blind))
    )
    return {
        **{name: result[name] for name in (*SHOWN, 'num_narrations')},
        **{name: result['teacher_forced']['0.0'][name] for name in FORCED},
        'train_cpu_s': trained - began,
        'score_cpu_s': time.process_time() - trained,
    }


def main() -> None:
    """Run several seeds one after the other."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--seeds', type=int, nargs='+', default=[1])
    parser.add_argument('--output', type=Path, required=True, help='JSON, one entry for each seed')
    args = parser.parse_args()
    found: dict[str, Any] = {}
    for seed in args.seeds:
        with tempfile.TemporaryDirectory() as folder:
            found[str(seed)] = run(Path(folder), seed)
        print(seed, json.dumps(found[str(seed)]), flush=True)
        args.output.write_text(json.dumps(found, indent=1))


if __name__ == '__main__':
    main()
