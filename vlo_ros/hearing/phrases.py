# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What may be said, where that is known beforehand: a file with one question a line."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from pathlib import Path

from vlo_ros.errors import one_line
from vlo_ros.speech.program import SpeechError

MOST = 1000
_BETWEEN_WORDS = re.compile(r"[^\w']+")


def read_phrases(path: Path, known: Collection[str] | None = None) -> dict[str, str]:
    """Return {words in small letters: the line that they stand for}.

    Empty lines and those that begin with # are left out.

    Args:
        path: The file, UTF-8.
        known: Words that the recogniser knows; None does not ask.

    Raises:
        SpeechError: It cannot be read, holds nothing, too much, or an unknown word; one line.
    """
    try:
        lines = path.read_text(encoding='utf-8').splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SpeechError(f'phrases: {path}: {one_line(error)}') from error
    phrases: dict[str, str] = {}
    for number, line in enumerate((line.strip() for line in lines), 1):
        words = _BETWEEN_WORDS.sub(' ', line.lower()).split()
        if not words or line.startswith('#'):
            continue
        for word in words:
            if known is not None and word not in known:
                raise SpeechError(
                    f'phrases: {path}, line {number}: the recogniser has no word {word!r} (it '
                    'knows English, numbers as words)'
                )
        phrases.setdefault(' '.join(words), line)
    if not 0 < len(phrases) <= MOST:
        raise SpeechError(f'phrases: {path} holds {len(phrases)}, 1 to {MOST} are accepted')
    return phrases


def words_in(dictionary: Path) -> set[str]:
    """Return the words of a pronunciation dictionary in the format of CMUdict."""
    with dictionary.open(encoding='utf-8') as lines:
        return {line.split(maxsplit=1)[0] for line in lines if not line.isspace()}


def grammar_of(phrases: Iterable[str]) -> str:
    """Return a grammar (JSGF) that allows these phrases and nothing else."""
    return f'#JSGF V1.0;\ngrammar questions;\npublic <question> = {" | ".join(phrases)};\n'
