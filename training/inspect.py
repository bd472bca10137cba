# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the model learns from, and how well it does: python -m training.inspect ...

    python -m training.inspect --llm DIR --adapter DIR --conversations C.json [--output OUT.json]

C.json is what `python -m training.datasets` writes, or a list of
`{"messages": [...], "frames": file, "frame_index": [...]}`; `frames` is an
`.npz` with images (`frames`, N x 3 x S x S, needs --vision) or features (`features`, N x F x V),
or a feature file (`.pt`, `.safetensors`). Without --output every conversation is printed, learned
tokens in colour.
"""

# Shapes: N frames, F tokens per frame, V vision dim, D hidden dim, S tower resolution.
from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from zipfile import BadZipFile

import numpy as np
import torch
import typer
from rich.console import Console
from rich.text import Text
from torch import nn

from training.build import make_training_template
from training.corpus import CorpusError
from training.features import FeatureStore
from training.stream_evaluate import StreamScore, stream_evaluate
from vlo_ros.adapter import merge_adapter
from vlo_ros.checkpoint import (
    load_base,
    load_model,
    local_folder,
    resolve_device,
    resolve_dtype,
)
from vlo_ros.command_errors import tells_errors_in_one_line
from vlo_ros.config import SYSTEM_PROMPT, ModelConfig, load_config
from vlo_ros.connector import make_connector
from vlo_ros.errors import ConfigError, one_line
from vlo_ros.language_model import LanguageModel
from vlo_ros.page import IGNORE, Rendered
from vlo_ros.template import Template, turns_from
from vlo_ros.vision import VisionTower

THRESHOLDS = (0.0, 0.725)
_LEARNED = 'bold green'
_SILENT = 'green'


# Keys of a conversation with its frames: our own, and as training.datasets writes it.
_KINDS = ({'messages', 'frames'}, {'conversation', 'load_ranges'})


@dataclass(frozen=True)
class Evaluee:
    """A model for evaluation; the tower is missing where features are given."""

    tower: VisionTower | None
    connector: nn.Module
    language: LanguageModel
    template: Template


def load_evaluee(config: ModelConfig, features_dim: int | None) -> Evaluee:
    """Load a model, without a tower when `config.vision` is empty.

    Args:
        config: Names the weights.
        features_dim: Size of a vision feature; needed without a tower.
    """
    if config.vision:
        model = load_model(config)
        return Evaluee(model.tower, model.connector, model.language, model.template)
    if features_dim is None:
        raise ConfigError('the frames are images: name the vision tower with --vision')
    device, dtype = resolve_device(config), resolve_dtype(config)
    base, tokenizer = load_base(config, device, dtype)
    base.connector = make_connector(features_dim, base.config.hidden_size).to(device, dtype)
    if not config.adapter:
        raise ConfigError('without --vision an --adapter is needed; a model YAML names everything')
    base = merge_adapter(base, local_folder('adapter', config.adapter, config.adapter_revision))
    connector = base.connector.to(device, dtype).eval().requires_grad_(False)
    del base.connector
    template = make_training_template(tokenizer, base.config.model_type, config.variant)
    return Evaluee(None, connector, LanguageModel(base), template)


@torch.inference_mode()
def frame_tokens(evaluee: Evaluee, frames: torch.Tensor) -> torch.Tensor:
    """Images (N, 3, S, S) or features (N, F, V) -> frame tokens (N, F, D)."""
    if frames.ndim == 4:
        if evaluee.tower is None:
            raise ConfigError('the frames are images: name the vision tower with --vision')
        frames = evaluee.tower.encode(frames)
    language = evaluee.language
    tokens_NFD: torch.Tensor = evaluee.connector(frames.to(language.device, language.dtype))
    return tokens_NFD


def read_samples(path: Path) -> list[dict[str, Any]]:
    """Read C.json.

    Raises:
        CorpusError: The file is missing or is not such a list.
    """
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise CorpusError(f'conversations {path}: {one_line(error)}') from error
    if not isinstance(content, list):
        raise CorpusError(f'conversations {path}: a list is expected')
    for number, sample in enumerate(content):
        if not isinstance(sample, Mapping) or not any(kind <= set(sample) for kind in _KINDS):
            raise CorpusError(f"conversations {path}: entry {number} lacks 'messages' or 'frames'")
    return [{'messages': one.get('conversation'), **one} for one in content]


def read_frames(sample: Mapping[str, Any], folder: Path) -> torch.Tensor:
    """Images or features of a sample; relative paths start at `folder`.

    Raises:
        CorpusError: The file is missing, damaged, or has fewer frames than the sample names.
    """
    if 'load_ranges' in sample:
        return FeatureStore([folder]).load(sample['load_ranges'])
    path = Path(sample['frames']).expanduser()
    if not path.is_absolute() and not path.exists():
        path = folder / path
    if path.suffix == '.npz':
        try:
            with np.load(path) as arrays:
                name = next(name for name in ('frames', 'features') if name in arrays)
                frames = torch.from_numpy(arrays[name])
        except (OSError, ValueError, BadZipFile, StopIteration) as error:
            raise CorpusError(
                f"frames {path}: an .npz with 'frames' or 'features' is expected"
            ) from error
    else:
        frames = FeatureStore([]).load_all(str(path))
    rows = sample.get('frame_index')
    if rows is None:
        return frames
    if rows and not 0 <= max(rows) < len(frames):
        raise CorpusError(f'frames {path}: frame {max(rows)} is named, it has {len(frames)}')
    return frames[torch.tensor(rows, dtype=torch.long)]


def render_sample(template: Template, sample: Mapping[str, Any]) -> Rendered:
    """Ids and labels of a sample; the system prompt is put in front unless it is there."""
    messages = sample['messages']
    has_system = bool(messages) and messages[0].get('role') == 'system'
    return template.render(turns_from(messages, '' if has_system else SYSTEM_PROMPT))


def inspect_sample(
    evaluee: Evaluee, sample: Mapping[str, Any], frames: torch.Tensor, *, official: bool
) -> dict[str, Any]:
    """One entry of OUT.json."""
    rendered = render_sample(evaluee.template, sample)
    tokens = frame_tokens(evaluee, frames)
    wanted = sum(rendered.is_frame) // evaluee.template.frame_num_tokens
    if len(tokens) != wanted:
        raise CorpusError(f'a conversation has {wanted} frames, {len(tokens)} are given')
    loss, scores = stream_evaluate(
        evaluee.language, evaluee.template, rendered, tokens, THRESHOLDS, official=official
    )
    return {
        'text': rendered.text,
        'input_ids': rendered.input_ids,
        'labels': rendered.labels,
        'loss': loss,
        'metrics': {str(threshold): _plain(score) for threshold, score in scores.items()},
    }


def in_colour(template: Template, rendered: Rendered) -> Text:
    """The conversation with what is learned in colour; a frame is drawn as one box."""
    page = Text()
    size = template.frame_num_tokens
    place = 0
    while place < len(rendered.input_ids):
        if rendered.is_frame[place]:
            label = rendered.labels[place + size - 1]
            style = 'dim' if label == IGNORE else _SILENT
            page.append('▣' if label in (IGNORE, template.silence_id) else '◉', style)
            place += size
            continue
        token_id = rendered.input_ids[place]
        learned = place > 0 and rendered.labels[place - 1] == token_id
        page.append(template.tokenizer.decode([token_id]), _LEARNED if learned else 'default')
        place += 1
    return page


def _plain(score: StreamScore) -> dict[str, float]:
    return {
        name: getattr(score, name)
        for name in ('lm_ppl', 'frame_diff', 'fluency', 'lm_correctness')
    }


def _print(
    console: Console, evaluee: Evaluee, samples: Sequence[Any], results: Sequence[Any]
) -> None:
    console.print(
        Text.assemble(
            'a box is a frame: ', ('▣', _SILENT), ' learns silence, ', ('◉', _SILENT),
            ' learns to speak, ', ('▣', 'dim'), ' teaches nothing; ', ('learned text', _LEARNED),
        )
    )  # fmt: skip
    for number, (sample, result) in enumerate(zip(samples, results, strict=True)):
        console.rule(f'conversation {number}')
        console.print(in_colour(evaluee.template, render_sample(evaluee.template, sample)))
        num_learned = sum(label != IGNORE for label in result['labels'])
        console.print(
            f'{num_learned} of {len(result["labels"])} positions are learned, '
            f'loss {result["loss"]:.4f}',
            style='dim',
        )
        for threshold, metrics in result['metrics'].items():
            values = '  '.join(f'{name} {value:.3f}' for name, value in metrics.items())
            console.print(f'threshold {threshold}: {values}', style='dim')


@tells_errors_in_one_line
def main(
    conversations: Annotated[Path, typer.Option(help='C.json')],
    llm: Annotated[str, typer.Option(help='language model: folder or hub name')] = '',
    adapter: Annotated[str | None, typer.Option(help='LoRA and connector: folder or name')] = None,
    vision: Annotated[str, typer.Option(help='vision tower, for frames that are images')] = '',
    variant: Annotated[str, typer.Option(help='live1+ or live1')] = 'live1+',
    model: Annotated[str | None, typer.Option(help='model YAML in place of the above')] = None,
    output: Annotated[Path | None, typer.Option(help='OUT.json; without it, print')] = None,
    corrected: Annotated[
        bool,
        typer.Option(
            help='count the frames of turns without labels, which the published does not'
        ),
    ] = False,
    limit: Annotated[int, typer.Option(help='at most so many conversations', min=0)] = 0,
    device: Annotated[str, typer.Option(help='auto, cpu or cuda')] = 'auto',
    dtype: Annotated[str, typer.Option(help='auto, float32, bfloat16 or float16')] = 'auto',
) -> None:
    """Show what conversations teach and how a model does on them."""
    if model is not None:
        config = load_config(model, device=device, dtype=dtype).model
    else:
        config = ModelConfig(
            llm=llm, vision=vision, adapter=adapter, variant=variant, device=device, dtype=dtype
        )
    samples = read_samples(conversations)[: limit or None]
    frames = [read_frames(sample, conversations.parent) for sample in samples]
    dims = [one.shape[-1] for one in frames if one.ndim == 3]
    evaluee = load_evaluee(config, dims[0] if len(dims) == len(frames) and dims else None)
    results = [
        inspect_sample(evaluee, sample, one, official=not corrected)
        for sample, one in zip(samples, frames, strict=True)
    ]
    if output is None:
        _print(Console(), evaluee, samples, results)
    else:
        output.write_text(json.dumps(results), encoding='utf-8')


if __name__ == '__main__':
    typer.run(main)
