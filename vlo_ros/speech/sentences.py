# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Takes whole sentences out of a text that grows."""

from __future__ import annotations

import re

# A mark that ends a sentence, and the white space in front of the next one's capital.
_BOUNDARY = re.compile(r'(?<=[.!?])["\')\]]*\s+(?=["\'(\[]?[A-Z0-9])')
_SHORT = re.compile(r'\b(?:[A-Z]|e\.g|i\.e|Mr|Mrs|Ms|Dr|vs|approx|No)\.$')


class SentenceSplitter:
    """The sentences of one response, each given out once, as soon as it is whole."""

    def __init__(self) -> None:
        """Begin with nothing said."""
        self._said = 0  # characters given out

    def grow(self, text: str) -> list[str]:
        """Take everything decoded so far; return the sentences that have become whole."""
        found, start = [], self._said
        for boundary in _BOUNDARY.finditer(text, self._said):
            sentence = text[start : boundary.start()].strip()
            if _SHORT.search(sentence):
                continue
            found.append(text[start : boundary.end()].strip())
            start = boundary.end()
        self._said = start
        return found

    def finish(self, text: str) -> list[str]:
        """Take the finished text; return all that was not given out, sentence by sentence."""
        found = self.grow(text)
        rest = text[self._said :].strip()
        self._said = len(text)
        return [*found, rest] if rest else found
