"""From rendering to evaluation, CI size: what is said must come from the frames.

A blind twin, trained in the same way on zeros, is what text and chance alone can do.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

from training.evaluate import evaluate
from training.finetune import finetune
from training.recipe import load_recipe
from training.rendered_world.train_tower import TowerTraining, train
from training.scenes import world_scenes
from vlo_ros.checkpoint import load_model
from vlo_ros.config import load_config

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / 'config' / 'training'
SEEDS = range(700_000, 700_008)  # never rendered for training


@pytest.fixture(scope='module')
def features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tower trained here, and its features of episodes it has not seen."""
    folder = tmp_path_factory.mktemp('ci')
    config = TowerTraining.load(CONFIG / 'rendered_world_ci_tower.yaml')
    train(dataclasses.replace(config, output_dir=str(folder / 'tower')))
    command = [
        sys.executable, '-m', 'training.rendered_world.features',
        '--tower', str(folder / 'tower' / 'tower'), '--output', str(folder),
        '--shards', '6', '--lengths', '32', '--odds', '1', '--workers', '2',
    ]  # fmt: skip
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return folder


def train_and_score(features: Path, *, blind: bool) -> dict:
    output = features / ('blind' if blind else 'sighted')
    finetune(
        load_recipe(
            CONFIG / 'rendered_world_ci.yaml',
            [f'output={output}', f'vision={features / "tower" / "tower"}',
             f'data.features=[{features}]', f'data.conversations=[{features / "train.json"}]',
             f'data.blind={str(blind).lower()}'],
        )
    )  # fmt: skip
    config = load_config(output / 'model.yaml', device='cpu')
    model = load_model(config.model)
    scenes = list(world_scenes(model, SEEDS, 'new', 0.4, config.stream.frame_fps, blind=blind))
    result = evaluate(model, config.stream, scenes)
    names = ('speak_f1_1s', 'speak_f1_0_5s', 'word_f1', 'silence_kept_strict', 'exact_of_all')
    print('blind' if blind else 'sighted', json.dumps({name: result[name] for name in names}))
    return result


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_sighted_model_beats_its_blind_twin(features: Path) -> None:
    sighted = train_and_score(features, blind=False)
    blind = train_and_score(features, blind=True)
    assert sighted['num_narrations'] > 50
    assert sighted['speak_f1_1s'] > 0.6
    # Sentences are so frequent that a blind model is often in time: content and silence tell.
    assert sighted['word_f1'] > blind['word_f1'] + 0.1
    assert sighted['silence_kept_strict'] > blind['silence_kept_strict'] + 0.1
    forced, guessed = (one['teacher_forced']['0.0'] for one in (sighted, blind))
    assert forced['lm_ppl'] < guessed['lm_ppl'] - 0.1
    assert forced['lm_correctness'] > guessed['lm_correctness'] + 0.06
