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
from dataclasses import dataclass, field
from typing import Any

from transformers import AddedToken, PreTrainedTokenizerBase

from vlo_ros.errors import CheckpointError, TemplateError
from vlo_ros.language import Family

IGNORE = -100  # label of a position that is not learned; torch's cross_entropy skips it
PLACEHOLDER = '<v>'

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
        page = _Page(self)
        role = None
        for turn in turns:
            if turn.role == 'stream' and turn.num_frames <= 0:
                continue
            if turn.role not in _NEXT_ROLES[role]:
                raise TemplateError(f'a {turn.role} turn cannot follow a {role} turn')
            if turn.role == 'system':
                page.special(self.bos)
                page.write(turn.text + '\n')
            elif turn.role == 'user':
                page.write(USER + turn.text)
            elif turn.role == 'assistant':
                page.write(ASSISTANT[0])
                page.write(ASSISTANT[1:] + ' ' + turn.text, learned=bool(turn.learn))
                page.special(self.eos, learned=bool(turn.learn))
            else:
                self._write_stream(page, turn)
            role = turn.role
        if prompt_response:
            page.write(ASSISTANT)
        return page.finish()

    def _write_stream(self, page: _Page, turn: Turn) -> None:
        num_learned = turn.num_frames if turn.learn is True else int(turn.learn)
        page.write(OPEN_STREAM)
        for index in range(turn.num_frames):
            learned = index < num_learned
            if index:
                page.write(self.interval, learned=index - 1 < num_learned)
            page.frame()
            if not self.interval and learned and index < turn.num_frames - 1:
                page.learn_silence()
        page.close_stream(learned=num_learned >= turn.num_frames)

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


@dataclass
class _Page:
    """Collects a conversation; runs of text are tokenised when a special token ends them."""

    template: Template
    ids: list[int] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    ranges: list[tuple[int, int]] = field(default_factory=list)
    num_chars: int = 0
    run: str = ''
    run_learned: list[bool] = field(default_factory=list)
    next_learned: int = 0

    def write(self, text: str, learned: bool = False) -> None:
        """Append ordinary text; the characters that close a learned stream are learned too."""
        flags = [learned or index < self.next_learned for index in range(len(text))]
        self.next_learned = max(0, self.next_learned - len(text))
        if learned and text:
            self.ranges.append((self.num_chars, self.num_chars + len(text)))
        self.run += text
        self.run_learned += flags
        self._advance(text)

    def special(self, token: str, learned: bool = False) -> None:
        """Append a special token (nothing where the tokenizer has none)."""
        self.flush()
        if not token:
            return
        token_id = self.template.tokenizer.convert_tokens_to_ids(token)
        if learned:
            start, _ = self.ranges.pop()
            self.ranges.append((start, self.num_chars + len(token)))
        self._append(token_id, learned)
        self._advance(token)

    def frame(self) -> None:
        """Append the placeholders of one frame."""
        self.flush()
        for _ in range(self.template.frame_num_tokens):
            self._append(self.template.placeholder_id, learned=False)
            self._advance(PLACEHOLDER)

    def learn_silence(self) -> None:
        """Variant live1: the target after a silent frame is eos, which is never fed."""
        self.ranges.append((self.num_chars, self.num_chars + len(PLACEHOLDER)))
        self.labels[-1] = self.template.silence_id

    def close_stream(self, learned: bool) -> None:
        """Append `]`; with the newline that follows it, it is the target 'speak'."""
        if learned:
            self.ranges.append((self.num_chars, self.num_chars + 2))
            self.next_learned = 2
        self.write(CLOSE_STREAM)

    def flush(self) -> None:
        """Tokenise the run of text so far."""
        if not self.run:
            return
        before = PLACEHOLDER if self.ids else ''
        ids, offsets = self.template._tokenize(self.run, before)
        for token_id, (start, end) in zip(ids, offsets, strict=True):
            flags = set(self.run_learned[start:end])
            if len(flags) > 1:
                raise TemplateError(
                    f'a learned range ends inside a token: {self.run[start:end]!r}'
                )
            self._append(token_id, learned=flags == {True})
        self.run, self.run_learned = '', []

    def finish(self) -> Rendered:
        """Return the page."""
        self.flush()
        placeholder = self.template.placeholder_id
        return Rendered(
            text=''.join(self.text),
            input_ids=self.ids,
            labels=self.labels,
            is_frame=[token_id == placeholder for token_id in self.ids],
            learn_ranges=self.ranges,
        )

    def _append(self, token_id: int, learned: bool) -> None:
        if learned and self.labels:
            self.labels[-1] = token_id
        self.ids.append(token_id)
        self.labels.append(IGNORE)

    def _advance(self, text: str) -> None:
        self.text.append(text)
        self.num_chars += len(text)


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
