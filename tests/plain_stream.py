# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The same stream, as plainly as it can be written: one event per forward, an ordinary cache."""

from __future__ import annotations

from typing import Any

import torch
from transformers import DynamicCache

from vlo_ros.config import StreamConfig
from vlo_ros.events import FrameTokens, Query
from vlo_ros.template import Template


class PlainStream:
    """Feeds transformers' own model with transformers' own cache and attention.

    Attributes:
        log: ('frame', index, p_silence, verdict) and ('response', stamp_ns, ids, finish).
    """

    def __init__(self, llm: Any, template: Template, config: StreamConfig) -> None:
        self.llm, self.template, self.config = llm, template, config
        self.cache = DynamicCache()
        self.log: list[tuple] = []
        self.waiting = ''  # text not fed yet
        self.tail: list[int] = []  # ids before it
        self.begun = self.in_stream = self.spoke = False

    def feed(self, *parts: torch.Tensor | list[int]) -> torch.Tensor:
        table = self.llm.get_input_embeddings()
        embeddings = [
            table(torch.tensor(part, dtype=torch.long)) if isinstance(part, list) else part
            for part in parts
        ]
        with torch.no_grad():
            output = self.llm(
                inputs_embeds=torch.cat(embeddings)[None], past_key_values=self.cache
            )
        return output.logits[0, -1].clone()

    def text(self, text: str) -> list[int]:
        """Ids of what waits with `text` behind it."""
        waiting, tail = self.waiting + text, self.tail
        if not self.begun:
            waiting = self.template.bos + self.config.system_prompt + '\n' + waiting
        ids = self.template.encode(waiting, first=not self.begun)
        self.begun, self.waiting, self.tail = True, '', []
        return tail + ids

    def run(self, frames: list[FrameTokens], queries: list[Query]) -> list[tuple]:
        queries = sorted(queries, key=lambda query: query.stamp_ns)
        for frame in frames:
            while queries and queries[0].stamp_ns < frame.stamp_ns:
                self.answer(queries.pop(0))
            before = self.template.interval_ids if self.in_stream else self.text('\n[')
            logits = self.feed(before, frame.tokens_FD)
            is_first = frame is frames[0]
            self.in_stream = True
            p_silence = float(logits.softmax(-1)[self.template.silence_id])
            asked = queries and queries[0].stamp_ns == frame.stamp_ns
            instructed = is_first and self.config.instruction
            if asked or instructed:
                self.log.append(('frame', frame.index, p_silence, 'query'))
                if instructed:
                    self.waiting += ']\nUser: ' + self.config.instruction
                    self.in_stream = False
                if asked:
                    self.answer(queries.pop(0))
                continue
            threshold = self.config.silence_threshold
            if self.spoke and self.config.resume_silence_threshold is not None:
                threshold = self.config.resume_silence_threshold
            self.spoke = False
            if p_silence < threshold:
                logits[self.template.silence_id] = -torch.inf
            silent = int(logits.argmax()) == self.template.silence_id
            self.log.append(('frame', frame.index, p_silence, 'silent' if silent else 'respond'))
            if not silent:
                self.respond('\nAssistant:', frame.stamp_ns)
        for query in queries:
            self.answer(query)
        return self.log

    def answer(self, query: Query) -> None:
        asked = self.template.plain(query.text)
        self.respond(f'\nUser: {asked}\nAssistant:', query.stamp_ns)

    def respond(self, ask: str, stamp_ns: int) -> None:
        fed = self.text((']' if self.in_stream else '') + ask)
        self.in_stream, self.spoke = False, True
        ids: list[int] = []
        while len(ids) < self.config.max_new_tokens:
            ids.append(int(self.feed(fed).argmax()))
            fed = ids[-1:]
            if ids[-1] == self.template.eos_id:
                break
        finish = 'eos' if ids[-1] == self.template.eos_id else 'length'
        self.log.append(('response', stamp_ns, tuple(ids), finish))
        self.tail = fed if finish == 'eos' else [*fed, self.template.eos_id]
        if ids == [self.template.eos_id]:
            self.tail = [*self.template.empty_response_ids, *fed]
