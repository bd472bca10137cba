# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The recorded annotation tree and the samples the official builders made of it."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from training.datasets import Sample, build

GOLDEN = Path(__file__).parents[2] / 'golden' / 'data'
ANNOTATIONS = 'datasets/ego4d/v2/annotations'


@pytest.fixture(scope='session')
def _recorded() -> dict[str, Any]:
    return json.loads((GOLDEN / 'builders.json').read_text(encoding='utf-8'))


@pytest.fixture
def outputs(_recorded: dict[str, Any]) -> dict[str, Any]:
    """What the official builders gave."""
    return copy.deepcopy(_recorded['outputs'])


@pytest.fixture
def files(_recorded: dict[str, Any]) -> dict[str, Any]:
    """Path -> content of the annotation files; a test may change them before `tree`."""
    return copy.deepcopy(_recorded['annotation_files'])


@pytest.fixture(scope='session')
def rules() -> dict[str, Any]:
    """The recorded rules of streams."""
    return json.loads((GOLDEN / 'stream_rules.json').read_text(encoding='utf-8'))


@pytest.fixture
def tree(tmp_path: Path) -> Callable[[dict[str, Any]], Path]:
    """Write annotation files (path -> content) and return their root."""

    def write(contents: dict[str, Any]) -> Path:
        for path, content in contents.items():
            file = tmp_path / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(content), encoding='utf-8')
        return tmp_path

    return write


@pytest.fixture
def root(tree: Callable[[dict[str, Any]], Path], files: dict[str, Any]) -> Path:
    """Root of the recorded tree."""
    return tree(files)


@pytest.fixture
def one_video(tree: Callable[[dict[str, Any]], Path]) -> Callable[..., list[Sample]]:
    """Build a data set of one Ego4D video `v` with features of the given duration in s."""

    def build_one(
        name: str, contents: dict[str, Any], duration: float = 20.5, **options: Any
    ) -> list[Sample]:
        stem = 'datasets/ego4d/v2/full_scale_2fps_384_1+3x3_google--siglip-large-patch16-384'
        written = {f'{ANNOTATIONS}/{file}': content for file, content in contents.items()}
        written[f'{stem}_metadata.json'] = {'v': {'duration': duration, 'path': f'{stem}/v.pt'}}
        return build(name, tree(written), **options)

    return build_one


@pytest.fixture
def short() -> Callable[[Any], str]:
    """Write a conversation in one line: S3 (learned), S3:2, A(text), U(text); `!` unlearned."""

    def describe(conversation: Any) -> str:
        words = []
        for message in conversation:
            learn = message.get('learn')
            if message['role'] == 'stream':
                mark = '' if learn is True else f':{int(learn or 0)}'
                words.append(f'S{message["num_frames"]}{mark}')
            else:
                mark = '!' if message['role'] == 'assistant' and not learn else ''
                words.append(f'{message["role"][0].upper()}({message["content"]}){mark}')
        return ' '.join(words)

    return describe


@pytest.fixture
def as_recorded() -> Callable[[list[Sample]], list[dict[str, Any]]]:
    """Return samples the way the recordings have them."""

    def recorded(samples: list[Sample]) -> list[dict[str, Any]]:
        return [
            {
                'conversation': [dict(message) for message in sample.conversation],
                'load_ranges': {file: list(r) for file, r in sample.load_ranges.items()},
            }
            for sample in samples
        ]

    return recorded


class Wish(random.Random):
    """Draws the wished number, or the highest allowed one, and notes the bounds."""

    def __new__(cls, wish: int) -> Wish:
        return super().__new__(cls)

    def __init__(self, wish: int) -> None:
        super().__init__(0)
        self.wish = wish
        self.bounds: list[list[int]] = []

    def randint(self, a: int, b: int) -> int:
        """Return the wished number within bounds."""
        self.bounds.append([a, b])
        return min(self.wish, b)


@pytest.fixture
def wish() -> type[Wish]:
    """The class of stubbed draws."""
    return Wish
