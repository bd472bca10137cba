# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training: interrupted equals uninterrupted, and what comes out is what the node loads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.training.golden import GOLDEN
from tests.training.killed import check_killed_equals_whole
from tests.training.toy import toy_recipe, write_toy
from training.finetune import finetune
from training.recipe import Recipe
from training.recipe_file import load_recipe
from training.trainer import last_checkpoint
from vlo_ros.checkpoint import load_model
from vlo_ros.config import load_config
from vlo_ros.errors import ConfigError, VloError

ROOT = Path(__file__).parents[2]
VISION = GOLDEN / 'live1plus' / 'vision'
LLM = GOLDEN / 'live1plus' / 'llm'


def losses(folder: Path) -> list[tuple[int, float, float]]:
    lines = map(json.loads, (folder / 'log.jsonl').read_text().splitlines())
    return [(line['step'], line['loss'], line['grad_norm']) for line in lines]


@pytest.mark.timeout(900)  # programs start slowly on a busy machine
def test_training_killed_at_any_moment_ends_the_same(tmp_path: Path) -> None:
    out = tmp_path / 'out'
    out.mkdir()
    path = toy_recipe(tmp_path)
    changes = [
        f'output={out}',
        'stages=[{num_steps: 8, batch_size: 1, window_frames: 8}]',
        'train.save_every_steps=2',
    ]

    def result() -> tuple[list[tuple[int, float, float]], dict[str, list[float]]]:
        tensors = {
            **load_file(out / 'llm' / 'model.safetensors'),
            **load_file(out / 'connector.safetensors'),
        }
        return losses(out), {name: value.flatten().tolist() for name, value in tensors.items()}

    check_killed_equals_whole(
        out,
        'training.finetune',
        [path, *changes],
        lambda: finetune(load_recipe(path, changes)),
        result,
    )


def golden_lora(tmp_path: Path, *changes: str) -> Recipe:
    """A LoRA recipe over the tiny base model, on toy features of its tower's size."""
    (tmp_path / 'data').mkdir(exist_ok=True)
    conversations, features = write_toy(tmp_path / 'data', num_conversations=3, num_frames=20)
    path = tmp_path / 'lora.yaml'
    path.write_text(
        f"""
model: {{llm: '{LLM}', vision: '{VISION}'}}
lora: {{rank: 4, alpha: 8}}
data: {{conversations: ['{conversations}'], features: ['{features}']}}
train: {{num_epochs: 2, accumulation: 2, threads: 1, log_every_steps: 1, device: cpu,
         save_every_minutes: 0, bf16: false}}
"""
    )
    return load_recipe(path, [f'output={tmp_path / "out"}', *changes])


def widen(folder: Path, dim: int) -> None:
    """Give the toy features the tower's size."""
    from safetensors.torch import save_file

    tensors = load_file(folder / 'shard.safetensors')
    wide = {
        name: torch.nn.functional.pad(value, (0, dim - value.shape[-1]))
        for name, value in tensors.items()
    }
    save_file(wide, folder / 'shard.safetensors')


def test_lora_output_loads_as_it_is(tmp_path: Path) -> None:
    recipe = golden_lora(tmp_path)
    widen(tmp_path / 'data', 48)
    summary = finetune(recipe)
    assert summary['steps'] == 3  # 2 epochs x 3 conversations / 2
    out = tmp_path / 'out'
    keys = set(load_file(out / 'adapter_model.safetensors'))
    assert 'base_model.model.connector.0.weight' in keys
    assert 'base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight' in keys
    assert 'base_model.model.lm_head.lora_B.weight' in keys
    adapter = json.loads((out / 'adapter_config.json').read_text())
    assert adapter['modules_to_save'] == ['connector']
    assert adapter['target_modules'].endswith('|lm_head$')
    model = load_model(load_config(out / 'model.yaml', device='cpu').model)
    assert model.template.frame_num_tokens == 10
    assert list(out.glob('runs/*/events*')), 'no TensorBoard log'


def test_packed_rows_train(tmp_path: Path) -> None:
    recipe = golden_lora(tmp_path, 'data.pack_tokens=1500', 'train.accumulation=1')
    widen(tmp_path / 'data', 48)
    summary = finetune(recipe)
    assert 1 <= summary['steps'] < 6  # six conversations, several to a row
    assert 0 < summary['loss'] < 20


def test_scratch_output_loads_as_it_is(tmp_path: Path) -> None:
    recipe = toy_recipe(tmp_path)
    widen(tmp_path, 48)
    overrides = ['stages=[{num_steps: 2, batch_size: 1, window_frames: 8}]', f'vision={VISION}']
    out = tmp_path / 'out'
    finetune(load_recipe(recipe, [f'output={out}', *overrides]))
    model = load_model(load_config(out / 'model.yaml', device='cpu').model)
    assert model.language.config.hidden_size == 32
    assert (out / 'vision' / 'model.safetensors').exists()
    assert len(model.template.encode(']\nAssistant:')) == 3


def test_a_second_run_into_the_same_folder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / 'out' / 'checkpoint-3'
    folder.mkdir(parents=True)
    (folder / 'trainer_state.json').write_text('{"global_step": 3}')
    recipe = load_recipe(toy_recipe(tmp_path), [f'output={tmp_path / "out"}'])
    with pytest.raises(ConfigError, match='holds a run already'):
        finetune(recipe, resume=False)


def test_other_settings_are_refused_or_accepted(tmp_path: Path) -> None:
    output = f'output={tmp_path / "out"}'
    stages = 'stages=[{num_steps: 2, batch_size: 1, window_frames: 8}]'
    path = toy_recipe(tmp_path)
    finetune(load_recipe(path, [output, stages]))
    begun = (tmp_path / 'out' / 'recipe.yaml').read_text()
    other = [output, stages, 'train.seed=7', 'data.blind=true', 'train.log_every_steps=2']
    with pytest.raises(ConfigError, match=r'other settings: data\.blind, train\.seed; name'):
        finetune(load_recipe(path, other))
    assert (tmp_path / 'out' / 'recipe.yaml').read_text() == begun
    finetune(load_recipe(path, [output, stages, 'train.log_every_steps=2']))
    finetune(load_recipe(path, other), accept_changes=True)
    assert 'seed: 7' in (tmp_path / 'out' / 'recipe.yaml').read_text()


def test_half_written_checkpoints_are_passed_over(tmp_path: Path) -> None:
    for step, content in ((3, '{"global_step": 3}'), (6, '{"global_st'), (9, None)):
        folder = tmp_path / f'checkpoint-{step}'
        folder.mkdir()
        if content is not None:
            (folder / 'trainer_state.json').write_text(content)
    assert last_checkpoint(tmp_path) == tmp_path / 'checkpoint-3'
    assert last_checkpoint(tmp_path / 'none') is None


@pytest.mark.parametrize(
    ('override', 'message'),
    [
        ('data.conversations=[missing.json]', 'missing.json'),
        ('data.features=[missing]', 'no folder'),
        ('model.variant=live1', '10 tokens per frame, variant live1 has 1'),
        ('output=', 'name a folder'),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, override: str, message: str) -> None:
    recipe = toy_recipe(tmp_path)
    with pytest.raises(VloError, match=message) as caught:
        finetune(load_recipe(recipe, [f'output={tmp_path / "out"}', override]))
    assert '\n' not in str(caught.value)
