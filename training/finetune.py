# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Train a model by a recipe: python -m training.finetune RECIPE.yaml [section.setting=value ...].

Goes on from its last checkpoint when the output folder holds one. Several GPUs:
`accelerate launch --config_file config/training/accelerate_fsdp2.yaml -m training.finetune ...` or
`torchrun --nproc-per-node 8 -m training.finetune ...`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from transformers import set_seed

from training.availability import check_available
from training.batches import num_steps, plan_batches
from training.build import FRAME_TOKENS, build_trainee
from training.corpus import Corpus, read_conversations, texts_of
from training.features import FeatureError, FeatureStore
from training.output import TRAINABLE
from training.recipe import Recipe
from training.recipe_file import load_recipe, write_recipe
from training.throughput import peak_tflops
from training.trainer import StreamTrainer, last_checkpoint
from training.whole_files import write_json
from vlo_ros.command_errors import tells_errors_in_one_line
from vlo_ros.errors import ConfigError

SUMMARY_FILE = 'training.json'


def finetune(
    recipe: Recipe, *, resume: bool = True, accept_changes: bool = False
) -> dict[str, float]:
    """Train, write the model to `recipe.output` and return what was measured.

    Args:
        recipe: The recipe.
        resume: Go on from the last checkpoint in the output folder, if there is one.
        accept_changes: Go on even when the run was begun with other settings.

    Raises:
        VloError: Something is missing, damaged or does not fit.
    """
    output = Path(recipe.output)
    if not recipe.output:
        raise ConfigError('output: name a folder, output=FOLDER')
    checkpoint = last_checkpoint(output)
    if checkpoint and not resume:
        raise ConfigError(f'output: {output} holds a run already; name another or resume it')
    check_available(recipe)
    if recipe.train.threads:
        torch.set_num_threads(recipe.train.threads)
    set_seed(recipe.train.seed)
    samples = read_conversations(recipe.data.conversations)
    store = FeatureStore(recipe.data.features, recipe.data.in_memory)
    features_dim = check_features(store, samples, recipe.model.variant)
    output.mkdir(parents=True, exist_ok=True)
    write_recipe(recipe, accept_changes=accept_changes)
    trainee = build_trainee(recipe, features_dim, texts_of(samples))
    corpus = Corpus(
        samples,
        store,
        trainee.template,
        recipe.data,
        recipe.stages,
        recipe.train.seed,
        features_dim,
    )
    num_devices = int(os.environ.get('WORLD_SIZE', '1'))
    plan = plan_batches(recipe, corpus, num_devices)
    trainer = StreamTrainer(trainee, corpus, plan, recipe, num_steps(plan, recipe, num_devices))
    started = time.monotonic()
    result = trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    summary = {
        'steps': float(trainer.state.global_step),
        'loss': result.training_loss,
        'tokens_per_s': round(trainer.meter.tokens_per_s * num_devices, 1),
        'tflops': float(f'{trainer.meter.tflops * num_devices:.3g}'),
        'minutes': round((time.monotonic() - started) / 60, 2),
    }
    peak = peak_tflops()
    if peak and trainer.args.device.type == 'cuda':
        summary['mfu'] = round(trainer.meter.tflops / peak, 3)
    trainer.save_model(str(output))
    (output / TRAINABLE).unlink(missing_ok=True)  # only checkpoints are gone on from
    if trainer.args.should_save:
        write_json(output / SUMMARY_FILE, summary, indent=1)
    return summary


def check_features(store: FeatureStore, samples: Sequence[Mapping[str, Any]], variant: str) -> int:
    """Return the size of one vision feature.

    Raises:
        FeatureError: No conversation has frames, or they are of another variant.
    """
    ranges = next((one['load_ranges'] for one in samples if one['load_ranges']), None)
    if ranges is None:
        raise FeatureError('data.conversations: none of them has frames')
    name, (first, _) = next(iter(ranges.items()))
    _, num_tokens, dim = store.load({name: (first, first + 1)}).shape
    if num_tokens != FRAME_TOKENS[variant]:
        raise FeatureError(
            f'{name}: {num_tokens} tokens per frame, variant {variant} has {FRAME_TOKENS[variant]}'
        )
    return int(dim)


@tells_errors_in_one_line
def main(
    recipe: Annotated[Path, typer.Argument(help='recipe, config/training/ego4d_live1plus.yaml')],
    overrides: Annotated[
        list[str] | None, typer.Argument(help='section.setting=value; output=FOLDER')
    ] = None,
    resume: Annotated[
        bool, typer.Option(help='go on from the last checkpoint in the output folder')
    ] = True,
    accept_changes: Annotated[
        bool, typer.Option('--accept-changes', help='go on with other settings than begun with')
    ] = False,
) -> None:
    """Train a model by a recipe."""
    summary = finetune(
        load_recipe(recipe, overrides or []), resume=resume, accept_changes=accept_changes
    )
    if os.environ.get('RANK', '0') == '0':
        console = Console()
        for name, value in summary.items():
            console.print(f'{name:>14} {value:g}')


if __name__ == '__main__':
    typer.run(main)
