# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
r"""The conversation format: turns -> ids, labels and frame mask, and the same pieces one by one.

Training calls `render`; the live decoder strings together `START`, `open_stream`, ... through
`encode`. Special tokens cut a text before it is tokenised, so tokenising each run of text
between two of them gives the very ids of tokenising everything at once; that is why both agree.

    bos system \n
    \n[ frame , frame ]             a run of frames, `,` is the interval of variant live1+
    \nUser: ... \nAssistant: ... eos

(VideoLLM-online, CVPR 2024; the exact pieces are part of what the published weights learned.)
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from transformers import AddedToken, PreTrainedTokenizerBase

from vlo_ros.errors import CheckpointError, TemplateError
from vlo_ros.language import Family
from vlo_ros.page import PLACEHOLDER, Page, Rendered

OPEN_STREAM = '\n['
CLOSE_STREAM = ']'
USER = '\nUser: '
ASSISTANT = '\nAssistant:'

ROLES = ('system', 'user', 'assistant', 'stream')
_NEXT_ROLES: Mapping[str | None, tuple[str, ...]] = {
    None: ROLES,
    'system': ('user', 'stream'),
    'user': ('assistant', 'stream', 'user'),
    'assistant': ('user', 'stream'),
    'stream': ('user', 'assistant'),
}


@dataclass(frozen=True)
class Turn:
    """One run of frames, one query, one response, or the system prompt.

    Attributes:
        role: 'system', 'user', 'assistant' or 'stream'.
        text: What is said; empty for a stream.
        num_frames: Frames of a stream turn.
        learn: Whether it is learned; for a stream an int k learns its first k frames.
    """

    role: str
    text: str = ''
    num_frames: int = 0
    learn: bool | int = False


class Template:
    """The conversation format of one tokenizer and variant.

    Attributes:
        silence_id: Predicting it after a frame means silence (interval, or eos for live1).
        interval_ids: What is fed between a silent frame and the next one.
        stream_end_id: First id of `]` + newline + speaker.
        eos_id: Ends a response.
        empty_response_ids: What stands between the prompt and eos when a response has no words.
        placeholder_id: Stands for a frame token.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        family: Family,
        frame_num_tokens: int,
        use_interval: bool,
    ) -> None:
        """Look up and check every id.

        Raises:
            CheckpointError: The tokenizer cannot express the template.
        """
        if not tokenizer.is_fast:
            raise CheckpointError('tokenizer: it has no tokenizer.json, only a slow form')
        self.tokenizer = tokenizer
        self.frame_num_tokens = frame_num_tokens
        self.interval = family.interval if use_interval else ''
        if PLACEHOLDER not in tokenizer.get_vocab():
            tokenizer.add_tokens([AddedToken(PLACEHOLDER, special=True, normalized=False)])
        self.placeholder_id = self._single_id(PLACEHOLDER)
        if tokenizer.eos_token_id is None:
            raise CheckpointError('tokenizer: it has no eos token to end a response with')
        self.bos: str = tokenizer.bos_token or ''
        self.eos: str = tokenizer.eos_token
        self.eos_id: int = tokenizer.eos_token_id
        self.interval_ids = [self._single_id(self.interval)] if use_interval else []
        self.silence_id = self.interval_ids[0] if use_interval else self.eos_id
        self.stream_end_id = self.encode(CLOSE_STREAM + ASSISTANT)[0]
        self.empty_response_ids = self.encode(ASSISTANT + ' ')[len(self.encode(ASSISTANT)) :]
        if self.encode(CLOSE_STREAM + USER)[0] != self.stream_end_id:
            raise CheckpointError('tokenizer: "]" before User and before Assistant differ in id')
        if self.silence_id == self.stream_end_id:
            raise CheckpointError('tokenizer: silence and the end of a stream have the same id')
        prompt_ids = self.encode(ASSISTANT)
        if self.encode(ASSISTANT + ' word')[: len(prompt_ids)] != prompt_ids:
            raise CheckpointError(f'tokenizer: the end of {ASSISTANT!r} merges with what follows')
        # Every added token, not only bos and eos: <v> and those of other chat formats are some.
        added = {*tokenizer.all_special_tokens, *tokenizer.get_added_vocab()}
        specials = [token for token in added if token.strip()]
        self._specials = re.compile('|'.join(map(re.escape, sorted(specials, key=len)[::-1])))

    def _single_id(self, text: str) -> int:
        ids = self._tokenize(text)[0]
        if len(ids) != 1 or ids[0] == self.tokenizer.unk_token_id:
            raise CheckpointError(
                f'tokenizer: {text!r} must be one token of its own, it is {len(ids)}'
            )
        return ids[0]

    # -- pieces, for a live stream ---------------------------------------------------------

    def encode(self, run: str, *, first: bool = False) -> list[int]:
        """Ids of a run of text that follows a special token, or that comes `first` of all."""
        return self._tokenize(run, '' if first else PLACEHOLDER)[0]

    def plain(self, text: str) -> str:
        """Make typed text harmless: one line, no control characters, no special tokens.

        What a person types can then never close a turn or open another one.
        """
        visible = ''.join(
            ' ' if unicodedata.category(char) in ('Cc', 'Cs', 'Zl', 'Zp') else char
            for char in text
        )
        line = ' '.join(visible.split())
        while self._specials.search(line):
            line = ' '.join(self._specials.sub(_broken, line).split())
        return line

    def has_special(self, text: str) -> bool:
        """Whether `text` holds something that is no text for the tokenizer, such as `<v>`."""
        return self._specials.search(text) is not None

    def decode(self, ids: Sequence[int]) -> str:
        """Text of generated ids, as the official implementation shows it."""
        text = self.tokenizer.decode(
            ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return str(self.tokenizer.clean_up_tokenization(text))

    # -- whole conversations, for training -------------------------------------------------

    def render(self, turns: Iterable[Turn], *, prompt_response: bool = False) -> Rendered:
        """Turn a conversation into ids, labels and frame mask.

        Args:
            turns: The conversation; without a system turn there is no bos.
            prompt_response: End with the words that make the model respond.

        Raises:
            TemplateError: Two turns that must not stand side by side, or a learned range whose
                edge lies inside a token.
        """
        page = Page(self._tokenize, self.placeholder_id)
        role = None
        for turn in turns:
            if turn.role == 'stream' and turn.num_frames <= 0:
                continue
            if turn.role not in _NEXT_ROLES[role]:
                raise TemplateError(f'a {turn.role} turn cannot follow a {role} turn')
            if turn.role == 'system':
                if self.bos:
                    page.special(self.bos, self.tokenizer.bos_token_id)
                page.write(turn.text + '\n')
            elif turn.role == 'user':
                page.write(USER + turn.text)
            elif turn.role == 'assistant':
                page.write(ASSISTANT[0])
                page.write(ASSISTANT[1:] + ' ' + turn.text, learned=bool(turn.learn))
                page.special(self.eos, self.eos_id, learned=bool(turn.learn))
            else:
                self._write_stream(page, turn)
            role = turn.role
        if prompt_response:
            page.write(ASSISTANT)
        return page.finish()

    def _write_stream(self, page: Page, turn: Turn) -> None:
        num_learned = turn.num_frames if turn.learn is True else int(turn.learn)
        page.write(OPEN_STREAM)
        for index in range(turn.num_frames):
            learned = index < num_learned
            if index:
                page.write(self.interval, learned=index - 1 < num_learned)
            page.frame(self.frame_num_tokens)
            if not self.interval and learned and index < turn.num_frames - 1:
                page.learn_silence(self.silence_id)
        page.close_stream(CLOSE_STREAM, learned=num_learned >= turn.num_frames)

    def _tokenize(
        self, run: str, before: str = PLACEHOLDER
    ) -> tuple[list[int], list[tuple[int, int]]]:
        """Ids and character offsets of `run`, tokenised in its place behind a special token."""
        encoding = self.tokenizer(
            before + run, add_special_tokens=False, return_offsets_mapping=True
        )
        skip = 1 if before else 0
        shift = len(before)
        offsets = [(start - shift, end - shift) for start, end in encoding['offset_mapping']]
        return list(encoding['input_ids'][skip:]), offsets[skip:]


def _broken(special: re.Match[str]) -> str:
    """What a typed special token becomes: two halves, or nothing where it cannot be parted."""
    token = special[0]
    return '' if len(token) == 1 or ' ' in token else token[0] + ' ' + token[1:]


def turns_from(conversation: Iterable[Mapping[str, Any]], system_prompt: str = '') -> list[Turn]:
    """Build turns from the JSON form used by data sets.

    Args:
        conversation: Messages `{"role", "content" | "num_frames", "learn"}`.
        system_prompt: Put in front unless empty.

    Raises:
        TemplateError: A message without a known role, text or frame count.
    """
    turns = [Turn('system', system_prompt)] if system_prompt else []
    for number, message in enumerate(conversation):
        role = message.get('role')
        wanted = 'num_frames' if role == 'stream' else 'content'
        if role not in ROLES or wanted not in message:
            raise TemplateError(
                f'message {number}: expected a role out of {", ".join(ROLES)} with {wanted!r}'
            )
        learn = message.get('learn', False)
        if role == 'stream':
            turns.append(Turn('stream', num_frames=int(message['num_frames']), learn=learn))
        else:
            turns.append(Turn(str(role), text=str(message['content']), learn=bool(learn)))
    return turns
