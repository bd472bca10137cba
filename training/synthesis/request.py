# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One request to a language model, its answer, and where answers are kept."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

from training.whole_files import remove_abandoned, write_json
from vlo_ros.errors import VloError


class SynthesisError(VloError):
    """Dialogue cannot be made: no endpoint, a damaged cache, an annotation that does not fit."""


@dataclass(frozen=True)
class Request:
    """What a model is asked; its digest names the answer.

    Attributes:
        model: Name the endpoint knows it by, or a folder.
        messages: (role, text) pairs.
        max_tokens: Longest answer, in tokens.
        temperature: 0 is greedy.
        top_p: Nucleus that is drawn from.
        seed: Of the draw.
        stop: Texts that end the answer; they are not part of it.
    """

    model: str
    messages: tuple[tuple[str, str], ...]
    max_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    stop: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """SHA-256 of everything the answer depends on."""
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes:
        text: What the model said; None when it gave no answer.
        finish: 'stop', 'length' or another reason of the endpoint's; why there is no answer.
    """

    text: str | None
    finish: str = 'stop'


@dataclass
class Tally:
    """What happened on the way to the answers, by name; for the quality report."""

    counts: Counter[str] = field(default_factory=Counter)

    def add(self, name: str, number: int = 1) -> None:
        """Count one more."""
        self.counts[name] += number


class Engine(Protocol):
    """Something that answers requests."""

    def answer(
        self, requests: Sequence[Request], keep: Callable[[int, Answer], None], tally: Tally
    ) -> None:
        """Answer requests in any order.

        Args:
            requests: What to ask.
            keep: Called with the position of a request and its answer, as answers come.
            tally: Counts what goes wrong.

        Raises:
            SynthesisError: Nothing can be answered any more.
        """


class Cache:
    """Answers on disk, one file each, named by the digest of the request."""

    def __init__(self, folder: Path) -> None:
        """Make the folder if needed; clear up behind runs that were killed.

        Raises:
            SynthesisError: It cannot be made.
        """
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SynthesisError(f'--cache {folder}: {error.strerror or error}') from error
        remove_abandoned(folder)

    def find(self, request: Request) -> Answer | None:
        """The answer to a request; None where there is none, or only a damaged one."""
        try:
            content = json.loads(self._path(request).read_text(encoding='utf-8'))
            return Answer(content['text'], content['finish'])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def keep(self, request: Request, answer: Answer) -> None:
        """Write an answer whole or not at all.

        Raises:
            VloError: It cannot be written.
        """
        content = {'request': asdict(request), 'text': answer.text, 'finish': answer.finish}
        write_json(self._path(request), content)

    def _path(self, request: Request) -> Path:
        digest = request.digest
        return self.folder / digest[:2] / f'{digest}.json'


def ask_all(
    requests: Sequence[Request],
    engine: Engine,
    cache: Cache,
    tally: Tally,
    on_answer: Callable[[], None] | None = None,
) -> list[Answer]:
    """Answer every request, each different one once; what is kept already is not asked again.

    Args:
        requests: What to ask; may repeat themselves.
        engine: Who answers.
        cache: Where answers are kept. Those without text are not, so a next run asks again.
        tally: Counts 'asked', 'cached', 'failed' and what the engine counts.
        on_answer: Called after every different request that is answered, for a progress bar.

    Returns:
        The answers in the order of the requests.

    Raises:
        SynthesisError: The engine gives up; what it had answered is kept.
    """
    different = {request.digest: request for request in requests}
    answers: dict[str, Answer] = {}
    for digest, request in different.items():
        found = cache.find(request)
        if found is not None:
            answers[digest] = found
            tally.add('cached')
            if on_answer is not None:
                on_answer()
    missing = [request for digest, request in different.items() if digest not in answers]

    def keep(position: int, answer: Answer) -> None:
        request = missing[position]
        answers[request.digest] = answer
        if answer.text is None:
            tally.add('failed')
        else:
            cache.keep(request, answer)
        if on_answer is not None:
            on_answer()

    tally.add('asked', len(missing))
    if missing:
        engine.answer(missing, keep, tally)
    return [answers[request.digest] for request in requests]


def derive_seed(*parts: object) -> int:
    """A seed that depends on the parts alone, 0 to 2**31 - 1."""
    digest = hashlib.sha256(json.dumps([str(part) for part in parts]).encode()).digest()
    return int.from_bytes(digest[:4], 'big') >> 1
