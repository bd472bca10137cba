# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A conversation written down for the language model: ids, labels and frame mask side by side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from vlo_ros.errors import TemplateError

IGNORE = -100  # label of a position that is not learned; torch's cross_entropy skips it
PLACEHOLDER = '<v>'

Tokenize: TypeAlias = Callable[[str, str], tuple[list[int], list[tuple[int, int]]]]


@dataclass(frozen=True)
class Rendered:
    """A conversation as the language model sees it; all lists have T entries.

    Attributes:
        text: The whole text, `<v>` at frame tokens.
        input_ids: Ids, the placeholder's at frame tokens.
        labels: Target of each position (already shifted), IGNORE where not learned.
        is_frame: True at frame tokens.
        learn_ranges: Learned targets as character ranges [first, end) of `text`.
    """

    text: str
    input_ids: list[int]
    labels: list[int]
    is_frame: list[bool]
    learn_ranges: list[tuple[int, int]]


class Page:
    """Collects a conversation; runs of text are tokenised when a special token ends them."""

    def __init__(self, tokenize: Tokenize, placeholder_id: int) -> None:
        """Start empty.

        Args:
            tokenize: Ids and character offsets of a run of text; the second argument is a special
                token to tokenise it behind, or nothing.
            placeholder_id: Stands for a frame token.
        """
        self._tokenize = tokenize
        self._placeholder_id = placeholder_id
        self._ids: list[int] = []
        self._labels: list[int] = []
        self._text: list[str] = []
        self._ranges: list[tuple[int, int]] = []
        self._num_chars = 0
        self._run = ''  # text since the last special token
        self._run_learned: list[bool] = []
        self._next_learned = 0  # characters to come that close a learned stream

    def write(self, text: str, learned: bool = False) -> None:
        """Append ordinary text; the characters that close a learned stream are learned too."""
        flags = [learned or index < self._next_learned for index in range(len(text))]
        self._next_learned = max(0, self._next_learned - len(text))
        if learned and text:
            self._ranges.append((self._num_chars, self._num_chars + len(text)))
        self._run += text
        self._run_learned += flags
        self._advance(text)

    def special(self, token: str, token_id: int, learned: bool = False) -> None:
        """Append a special token."""
        self._flush()
        if learned:
            start, _ = self._ranges.pop()
            self._ranges.append((start, self._num_chars + len(token)))
        self._append(token_id, learned)
        self._advance(token)

    def frame(self, num_tokens: int) -> None:
        """Append the placeholders of one frame."""
        self._flush()
        for _ in range(num_tokens):
            self._append(self._placeholder_id, learned=False)
            self._advance(PLACEHOLDER)

    def learn_silence(self, silence_id: int) -> None:
        """Make silence the target after the last frame though it is not fed (variant live1)."""
        self._ranges.append((self._num_chars, self._num_chars + len(PLACEHOLDER)))
        self._labels[-1] = silence_id

    def close_stream(self, close: str, learned: bool) -> None:
        """Append `close`; with the newline that follows it, it is the target 'speak'."""
        if learned:
            self._ranges.append((self._num_chars, self._num_chars + 2))
            self._next_learned = 2
        self.write(close)

    def _flush(self) -> None:
        """Tokenise the run of text so far."""
        if not self._run:
            return
        before = PLACEHOLDER if self._ids else ''
        ids, offsets = self._tokenize(self._run, before)
        for token_id, (start, end) in zip(ids, offsets, strict=True):
            flags = set(self._run_learned[start:end])
            if len(flags) > 1:
                raise TemplateError(
                    f'a learned range ends inside a token: {self._run[start:end]!r}'
                )
            self._append(token_id, learned=flags == {True})
        self._run, self._run_learned = '', []

    def finish(self) -> Rendered:
        """Return the page."""
        self._flush()
        return Rendered(
            text=''.join(self._text),
            input_ids=self._ids,
            labels=self._labels,
            is_frame=[token_id == self._placeholder_id for token_id in self._ids],
            learn_ranges=self._ranges,
        )

    def _append(self, token_id: int, learned: bool) -> None:
        if learned and self._labels:
            self._labels[-1] = token_id
        self._ids.append(token_id)
        self._labels.append(IGNORE)

    def _advance(self, text: str) -> None:
        self._text.append(text)
        self._num_chars += len(text)
