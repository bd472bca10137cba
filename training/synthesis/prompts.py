# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a language model is asked, read from YAML: wording, sampling, questions."""

from __future__ import annotations

import string
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from vlo_ros.errors import ConfigError, one_line

KINDS = ('past', 'current', 'future')
FREE = 'free'


@dataclass(frozen=True)
class Sampling:
    """How an answer is drawn; as in Request."""

    max_tokens: int
    temperature: float
    top_p: float


@dataclass(frozen=True)
class RefinePrompt:
    """How a narration is rewritten.

    Attributes:
        sampling: How the answer is drawn.
        system: First message.
        examples: (narration, answer) pairs shown before the narration.
        question: What is asked; `{text}` is the narration.
    """

    sampling: Sampling
    system: str
    examples: tuple[tuple[str, str], ...]
    question: str


@dataclass(frozen=True)
class LivechatPrompt:
    """How dialogues are made.

    Attributes:
        sampling: How the answer is drawn.
        system: First message.
        question: What is asked; `{goal}`, `{steps}` and `{skeleton}` are filled in.
        dialogues_per_outline: Dialogues made of one list of steps.
        questions_per_dialogue: Times at which the user speaks.
        attempts: How often a dialogue is asked for until one follows its skeleton.
        question_odds: How often each kind is drawn, 'free' included.
        queries: Questions of each kind.
    """

    sampling: Sampling
    system: str
    question: str
    dialogues_per_outline: int
    questions_per_dialogue: int
    attempts: int
    question_odds: Mapping[str, float]
    queries: Mapping[str, tuple[str, ...]]


def default_path(name: str) -> Path:
    """Where a shipped configuration file is: in the checkout, or where it is installed."""
    checkout = Path(__file__).resolve().parents[2] / 'config' / 'training' / name
    if checkout.is_file():
        return checkout
    return Path(sys.prefix) / 'share' / 'vlo_ros' / 'config' / 'training' / name


def load_refine_prompt(path: Path) -> RefinePrompt:
    """Read the section `refine`.

    Raises:
        ConfigError: The file is missing or not as described.
    """
    section = _Section(path, _read(path), 'refine')
    examples = section.get('examples', list)
    for example in examples:
        if not (isinstance(example, list) and [type(text) for text in example] == [str, str]):
            raise section.error('examples', 'a list of [narration, answer] pairs')
    return RefinePrompt(
        _sampling(section),
        section.get('system', str),
        tuple((narration, answer) for narration, answer in examples),
        section.template('question', {'text'}),
    )


def load_livechat_prompt(path: Path, queries_path: Path) -> LivechatPrompt:
    """Read the section `livechat` and the questions.

    Raises:
        ConfigError: A file is missing or not as described.
    """
    section = _Section(path, _read(path), 'livechat')
    odds = section.get('question_odds', dict)
    wrong = [
        kind
        for kind, weight in odds.items()
        if kind not in (*KINDS, FREE) or not isinstance(weight, int | float) or weight < 0
    ]
    if wrong or not sum(odds.values()) > 0:
        raise section.error('question_odds', f'numbers from 0 for {", ".join((*KINDS, FREE))}')
    return LivechatPrompt(
        _sampling(section),
        section.get('system', str),
        section.template('question', {'goal', 'steps', 'skeleton'}),
        section.count('dialogues_per_outline'),
        section.count('questions_per_dialogue'),
        section.count('attempts'),
        odds,
        _read_queries(queries_path),
    )


def _read_queries(path: Path) -> dict[str, tuple[str, ...]]:
    content = _read(path)
    queries = {}
    for kind in KINDS:
        texts = content.get(kind)
        if not isinstance(texts, list) or not texts or not all(isinstance(t, str) for t in texts):
            raise ConfigError(f'{path}: {kind} must be a list of questions')
        queries[kind] = tuple(texts)
    return queries


def _sampling(section: _Section) -> Sampling:
    return Sampling(
        section.count('max_tokens'),
        section.number('temperature', 0.0, 10.0),
        section.number('top_p', 0.01, 1.0),
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f'{path}: {one_line(error)}') from error
    if not isinstance(content, dict):
        raise ConfigError(f'{path}: expected named sections')
    return content


class _Section:
    """One section of a YAML file; its errors name file and key."""

    def __init__(self, path: Path, content: Mapping[str, Any], name: str) -> None:
        self._path, self._name = path, name
        self._values = content.get(name)
        if not isinstance(self._values, dict):
            raise ConfigError(f'{path}: section {name!r} is missing')

    def error(self, key: str, accepted: str) -> ConfigError:
        return ConfigError(f'{self._path}: {self._name}.{key} must be {accepted}')

    def get(self, key: str, kind: type) -> Any:
        value = self._values.get(key)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise self.error(key, f'a {kind.__name__}')
        return value

    def count(self, key: str) -> int:
        value: int = self.get(key, int)
        if value < 1:
            raise self.error(key, 'an integer from 1')
        return value

    def number(self, key: str, least: float, greatest: float) -> float:
        value = self._values.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.error(key, 'a number')
        if not least <= value <= greatest:
            raise self.error(key, f'within {least} to {greatest}')
        return float(value)

    def template(self, key: str, fields: set[str]) -> str:
        text: str = self.get(key, str)
        try:
            found = {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}
        except ValueError as error:
            raise self.error(key, f'a text with fields in braces ({error})') from error
        if found != fields:
            raise self.error(key, f'a text with the fields {", ".join(sorted(fields))}')
        return text
