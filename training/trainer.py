# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""transformers' Trainer, taught our batches, our checkpoints and our log."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader
from transformers import Trainer, TrainerCallback, TrainingArguments

from training.batches import BatchPlan
from training.build import Trainee
from training.collate import Example, collate, pack
from training.corpus import Corpus
from training.optimizers import MuonAdamW
from training.output import load_trainable, save_trainable, write_model
from training.recipe import Recipe
from training.throughput import StepCost
from vlo_ros.errors import ConfigError

STATE_FILE = 'trainer_state.json'  # the last file of a checkpoint to be written
LOG_FILE = 'log.jsonl'
_SCHEDULES = {
    'cosine': 'cosine',
    'linear': 'linear',
    'constant': 'constant_with_warmup',
    'wsd': 'warmup_stable_decay',
}
_DECAY_SHARE = 0.3


class Collator:
    """Examples -> batch, as the recipe asks."""

    def __init__(self, recipe: Recipe, pad_id: int, cost: StepCost) -> None:
        self._recipe = recipe
        self._pad_id = pad_id
        self._cost = cost

    def __call__(self, examples: Sequence[Example]) -> dict[str, torch.Tensor]:
        """Pad or pack, and count the tokens and what they cost."""
        if self._recipe.data.pack_tokens:
            batch = pack(examples)
        else:
            batch = collate(examples, self._pad_id, self._recipe.data.padding)
        batch['num_tokens'] = torch.tensor(sum(example.num_tokens for example in examples))
        batch['flops'] = torch.tensor(self._cost.flops(batch), dtype=torch.float64)
        return batch


class StreamTrainer(Trainer):
    """Trainer over a planned list of batches."""

    def __init__(
        self, trainee: Trainee, corpus: Corpus, plan: BatchPlan, recipe: Recipe, num_steps: int
    ) -> None:
        self.recipe = recipe
        self.trainee = trainee
        self.plan = plan
        self.meter = Meter(Path(recipe.output))
        super().__init__(
            model=trainee.model,
            args=training_arguments(recipe, num_steps),
            train_dataset=corpus,
            data_collator=Collator(
                recipe,
                trainee.template.eos_id,
                StepCost(trainee.model.config, recipe.lora.rank),
            ),
            callbacks=[self.meter, SaveByTime(recipe.train.save_every_minutes)],
        )

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Batches of the plan, in order."""
        loader: DataLoader[Any] = DataLoader(
            self.train_dataset,
            batch_sampler=self.plan,
            collate_fn=self.data_collator,
            num_workers=self.recipe.data.num_workers,
            pin_memory=torch.cuda.is_available(),
        )
        return self.accelerator.prepare(loader)

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """AdamW as Trainer makes it, or Muon for matrices."""
        train = self.recipe.train
        if train.optimizer == 'muon' and self.optimizer is None:
            if self.is_deepspeed_enabled or self.is_fsdp_enabled:
                raise ConfigError('train.optimizer: muon needs whole matrices; use adamw here')
            self.optimizer = MuonAdamW(
                model or self.model,
                lr=train.learning_rate,
                muon_lr=train.muon_learning_rate,
                weight_decay=train.weight_decay,
            )
            return self.optimizer
        return super().create_optimizer(model)

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, **_: Any
    ) -> Any:
        """Loss of one batch; its parts and its size go to the log."""
        inputs = dict(inputs)
        num_tokens, flops = inputs.pop('num_tokens'), inputs.pop('flops')
        outputs = model(**inputs)
        self.meter.observe(int(num_tokens), float(flops), outputs)
        return (outputs['loss'], outputs) if return_outputs else outputs['loss']

    def _save(
        self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None
    ) -> None:
        """Write what is needed to go on, and the model as the node reads it."""
        if not self.args.should_save:
            return
        folder = Path(output_dir or self.recipe.output)
        folder.mkdir(parents=True, exist_ok=True)
        save_trainable(self.trainee.model, folder, state_dict)
        write_model(self.trainee, self.recipe, folder, state_dict)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        if self.is_fsdp_enabled:
            super()._load_from_checkpoint(resume_from_checkpoint, model)
        else:
            load_trainable(self.trainee.model, Path(resume_from_checkpoint))


class SaveByTime(TrainerCallback):
    """Asks for a checkpoint every so many minutes."""

    def __init__(self, minutes: float) -> None:
        self._period_s = 60 * minutes
        self._last = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        """Let the first process decide: clocks differ, and all must save at the same step."""
        if not self._period_s:
            return control
        due = time.monotonic() - self._last >= self._period_s
        if torch.distributed.is_initialized():
            flag = torch.tensor([int(due)], device=args.device)
            torch.distributed.broadcast(flag, src=0)
            due = bool(flag.item())
        if due:
            self._last = time.monotonic()
            control.should_save = True
        return control


class Meter(TrainerCallback):
    """Writes losses and throughput to a JSON-lines log and to Trainer's own."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOG_FILE
        self._num_tokens = 0
        self._tokens_done = 0
        self._flops = 0.0
        self._started = self._since = time.monotonic()
        self._parts: dict[str, torch.Tensor | float] = {}
        self._num_batches = 0

    def observe(self, num_tokens: int, flops: float, outputs: dict[str, torch.Tensor]) -> None:
        """Take note of one batch."""
        self._num_tokens += num_tokens
        self._flops += flops
        self._num_batches += 1
        for name in ('stream_loss', 'text_loss'):
            self._parts[name] = self._parts.get(name, 0.0) + outputs[name].detach()

    @property
    def tokens_per_s(self) -> float:
        """Over the whole run so far, this process alone."""
        elapsed = time.monotonic() - self._started
        return (self._tokens_done + self._num_tokens) / max(elapsed, 1e-9)

    @property
    def tflops(self) -> float:
        """Useful TFLOP/s over the whole run so far, this process alone."""
        return self._flops / max(time.monotonic() - self._started, 1e-9) / 1e12

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Forget what an interrupted run logged behind its last checkpoint."""
        self._started = self._since = time.monotonic()
        if not state.is_world_process_zero:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        lines = self._path.read_text().splitlines() if self._path.exists() else []
        kept = [line for line in lines if json.loads(line)['step'] <= state.global_step]
        self._path.write_text(''.join(line + '\n' for line in kept))

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """Append a line."""
        if not logs or 'loss' not in logs or not self._num_batches:
            return
        elapsed = max(time.monotonic() - self._since, 1e-9)
        for name, value in self._parts.items():
            logs[name] = float(value) / self._num_batches
        logs['tokens_per_s'] = round(self._num_tokens / elapsed, 1)
        self._tokens_done += self._num_tokens
        self._num_tokens, self._num_batches, self._parts = 0, 0, {}
        self._since = time.monotonic()
        if state.is_world_process_zero:
            with self._path.open('a', encoding='utf-8') as file:
                file.write(json.dumps({'step': state.global_step, **logs}) + '\n')


def training_arguments(recipe: Recipe, num_steps: int) -> TrainingArguments:
    """Trainer's settings for a recipe."""
    train = recipe.train
    use_cpu = train.device == 'cpu' or not torch.cuda.is_available()
    warmup = math.ceil(train.warmup * num_steps)
    schedule_options = {}
    if train.schedule == 'wsd':
        num_decay = max(1, round(_DECAY_SHARE * num_steps))
        schedule_options = {'num_decay_steps': num_decay, 'decay_type': 'linear'}
    checkpointing: dict[str, Any] = {}
    if train.gradient_checkpointing:
        options = {'use_reentrant': False}
        checkpointing = {
            'activation_checkpointing': True,
            'activation_checkpointing_kwargs': options,
        }
    return TrainingArguments(
        output_dir=recipe.output,
        max_steps=num_steps,
        per_device_train_batch_size=train.batch_size,
        gradient_accumulation_steps=train.accumulation,
        learning_rate=train.learning_rate,
        weight_decay=train.weight_decay,
        max_grad_norm=train.max_grad_norm,
        lr_scheduler_type=_SCHEDULES[train.schedule],
        lr_scheduler_kwargs=schedule_options,
        warmup_steps=warmup,
        optim='adamw_torch',
        bf16=train.bf16,
        tf32=train.tf32 if not use_cpu else None,
        use_cpu=use_cpu,
        **checkpointing,
        logging_steps=train.log_every_steps,
        logging_nan_inf_filter=False,
        save_strategy='steps' if train.save_every_steps else 'no',
        save_steps=train.save_every_steps or 500,
        save_total_limit=train.keep_checkpoints,
        report_to=[train.report_to],
        seed=train.seed,
        deepspeed=train.deepspeed or None,
        remove_unused_columns=False,
        label_names=['labels'],
        accelerator_config={'even_batches': False, 'split_batches': False},
    )


def last_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that was written to its end."""
    found = []
    for path in folder.glob('checkpoint-*'):
        try:
            found.append((json.loads((path / STATE_FILE).read_text())['global_step'], path))
        except (OSError, ValueError, KeyError):
            continue  # a kill came in between
    return max(found)[1] if found else None
