# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Train the small vision tower on the rendered world.

    python -m training.rendered_world.train_tower config/training/rendered_world_tower.yaml

Runs on a CPU or a GPU, can be stopped at any time and resumes from its last checkpoint.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
import yaml
from safetensors.torch import save_file
from torch.utils.tensorboard import SummaryWriter

from training.rendered_world.frame_pool import FramePool, PoolSettings, render_fixed
from training.rendered_world.tower import (
    TowerShape,
    TowerWithHeads,
    accuracies,
    loss_of,
    normalise,
)

VALIDATION_SEED = 9_000_000  # measured during training; never used by training.evaluate


@dataclass(frozen=True)
class TowerTraining:
    """Everything the training depends on; read from YAML."""

    output_dir: str
    shape: TowerShape = field(default_factory=TowerShape)
    num_steps: int = 8000
    batch_size: int = 128
    muon_lr: float = 2e-3
    adam_lr: float = 1e-3
    weight_decay: float = 0.02
    warmup_steps: int = 200
    decay_share: float = 0.3  # last part of the training over which the rate falls to zero
    pool_capacity: int = 60_000
    per_world: int = 16
    first_seed: int = 0
    nameless_share: float = 0.3
    renderers: int = 1
    reuse: float = 1.5  # how often a picture is drawn, on average
    save_every_s: float = 180.0
    evaluate_every: int = 500
    evaluation_worlds: int = 80
    seed: int = 1
    dtype: str = 'bfloat16'

    @classmethod
    def load(cls, path: Path) -> TowerTraining:
        """Read YAML; an unknown name is an error."""
        values = yaml.safe_load(path.read_text())
        shape = TowerShape(**values.pop('shape', {}))
        unknown = sorted(set(values) - set(cls.__dataclass_fields__))
        if unknown:
            accepted = ', '.join(cls.__dataclass_fields__)
            raise ValueError(f'{path}: unknown {", ".join(unknown)}; accepted are {accepted}')
        return cls(shape=shape, **values)


class MasterWeights:
    """Optimisers over float32 copies of a low-precision model's weights."""

    def __init__(self, model: TowerWithHeads, config: TowerTraining) -> None:
        self._pairs = [(p, p.detach().float().clone()) for p in model.parameters()]
        names = [name for name, _ in model.named_parameters()]
        blocks = [
            m for name, (_, m) in zip(names, self._pairs, strict=True)
            if '.layers.' in name and m.ndim == 2
        ]  # fmt: skip
        chosen = {id(m) for m in blocks}
        rest = [m for _, m in self._pairs if id(m) not in chosen]
        decay = config.weight_decay
        self.optimizers: list[torch.optim.Optimizer] = [
            torch.optim.Muon(
                blocks, lr=config.muon_lr, weight_decay=decay, adjust_lr_fn='match_rms_adamw'
            ),
            torch.optim.AdamW(rest, lr=config.adam_lr, weight_decay=decay, betas=(0.9, 0.98)),
        ]
        self._base = [config.muon_lr, config.adam_lr]

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """One step with every learning rate multiplied by `rate`."""
        grads = [p.grad.float() for p, _ in self._pairs if p.grad is not None]
        norm = torch.linalg.vector_norm(torch.stack([g.norm() for g in grads]))
        scale = min(1.0, 5.0 / (float(norm) + 1e-6))
        for p, m in self._pairs:
            m.grad = None if p.grad is None else p.grad.float() * scale
            p.grad = None
        for optimizer, base in zip(self.optimizers, self._base, strict=True):
            for group in optimizer.param_groups:
                group['lr'] = base * rate
            optimizer.step()
        for p, m in self._pairs:
            p.copy_(m)

    def state_dict(self) -> dict[str, object]:
        """Everything needed to go on later."""
        return {
            'masters': [m for _, m in self._pairs],
            'optimizers': [o.state_dict() for o in self.optimizers],
        }

    def load_state_dict(self, state: dict[str, list]) -> None:  # type: ignore[type-arg]
        """Go on where `state_dict` was taken."""
        with torch.no_grad():
            for (p, m), saved in zip(self._pairs, state['masters'], strict=True):
                m.copy_(saved)
                p.copy_(saved)
        for optimizer, saved in zip(self.optimizers, state['optimizers'], strict=True):
            optimizer.load_state_dict(saved)


def rate_at(step: int, config: TowerTraining) -> float:
    """Learning rate factor: warm-up, constant, then down to zero in a straight line."""
    decay_start = config.num_steps * (1 - config.decay_share)
    falling = (config.num_steps - step) / max(config.num_steps - decay_start, 1)
    return max(0.0, min((step + 1) / config.warmup_steps, 1.0, falling))


def augment(pixels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Another light: contrast, brightness and colour cast per picture, in -1..1."""
    n = len(pixels)
    gain = 1 + 0.12 * (torch.rand(n, 1, 1, 1, generator=generator) - 0.5)
    cast = 1 + 0.06 * (torch.rand(n, 3, 1, 1, generator=generator) - 0.5)
    shift = 0.1 * (torch.rand(n, 1, 1, 1, generator=generator) - 0.5)
    return ((pixels.float() + 1) * gain * cast - 1 + shift).clamp(-1, 1).to(pixels.dtype)


def save_tower(model: TowerWithHeads, folder: Path) -> None:
    """Write the tower as an ordinary transformers folder, and the heads beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    model.tower.save_pretrained(folder)
    save_file(
        {k: v.contiguous() for k, v in model.heads.state_dict().items()},
        folder / 'heads.safetensors',
    )


def train(config: TowerTraining) -> None:
    """Train to the end, or go on from the last checkpoint."""
    torch.set_num_threads(1)
    torch.manual_seed(config.seed)
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    dtype = getattr(torch, config.dtype)
    model = TowerWithHeads(config.shape).to(dtype)
    masters = MasterWeights(model, config)
    checkpoint = output / 'checkpoint.pt'
    step, worlds, spent = 0, 0, 0.0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        masters.load_state_dict(state['masters'])
        step, worlds, spent = state['step'], state['worlds'], state['spent']
        if step >= config.num_steps:
            return
    pool = FramePool(
        PoolSettings(
            capacity=config.pool_capacity,
            size=config.shape.image_size,
            grid=config.shape.grid,
            per_world=config.per_world,
            first_seed=config.first_seed + worlds,
            nameless_share=config.nameless_share,
            reuse=config.reuse,
        ),
        config.renderers,
    )
    pool.start()
    fixed = {
        split: render_fixed(
            split,
            VALIDATION_SEED,
            config.evaluation_worlds,
            config.shape.image_size,
            config.shape.grid,
        )
        for split in ('new', 'background', 'pairs')
    }
    pool.wait(20 * config.batch_size)
    board = SummaryWriter(str(output / 'board'))
    rng = np.random.default_rng((config.seed, step))
    generator = torch.Generator().manual_seed(config.seed + step)
    start = saved = time.monotonic()

    def save() -> None:
        seen = worlds + pool.num_rendered // config.per_world
        state = {
            'masters': masters.state_dict(),
            'step': step,
            'worlds': seen,
            'spent': spent + time.monotonic() - start,
        }
        torch.save(state, checkpoint.with_suffix('.new'))
        checkpoint.with_suffix('.new').replace(checkpoint)
        save_tower(model, output / 'tower')

    try:
        while step < config.num_steps:
            batch = pool.draw(config.batch_size, rng)
            pixels = augment(normalise(torch.from_numpy(batch.pictures), dtype), generator)
            loss, parts = loss_of(model(pixels), batch)
            loss.backward()
            masters.step(rate_at(step, config))
            step += 1
            if step % 50 == 0:
                for name, value in parts.items():
                    board.add_scalar(f'loss/{name}', value, step)
            if step % config.evaluate_every == 0 or step == config.num_steps:
                line: dict[str, object] = {
                    'step': step,
                    'minutes': round((spent + time.monotonic() - start) / 60, 1),
                    'rendered': worlds * config.per_world + pool.num_rendered,
                    'loss': {name: round(value, 4) for name, value in parts.items()},
                }
                for split, batch in fixed.items():
                    line[split] = {
                        k: round(v, 4) for k, v in accuracies(model, batch, dtype).items()
                    }
                with (output / 'log.jsonl').open('a') as log:
                    log.write(json.dumps(line) + '\n')
            if time.monotonic() - saved > config.save_every_s:
                save()
                saved = time.monotonic()
        save()
    finally:
        pool.close()
        board.close()
    (output / 'config.json').write_text(json.dumps(asdict(config), indent=1))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'config', type=Path, help='YAML, e.g. config/training/rendered_world_tower.yaml'
    )
    parser.add_argument('--output', help='folder, in place of the one in the YAML')
    args = parser.parse_args()
    config = TowerTraining.load(args.config)
    train(replace(config, output_dir=args.output) if args.output else config)


if __name__ == '__main__':
    main()
