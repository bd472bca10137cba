# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A language model in this process, for a machine without an endpoint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from training.synthesis.request import Answer, Request, Tally
from vlo_ros.checkpoint import LOAD_ERRORS, local_folder
from vlo_ros.errors import CheckpointError, one_line


class InProcess:
    """Answers with transformers: greedy requests in batches, drawn ones one by one.

    A drawn answer depends on its own seed and on nothing else, whatever was asked before.
    """

    def __init__(self, model: str, device: str = 'auto', batch_size: int = 8) -> None:
        """Load a model.

        Args:
            model: Folder or hub name.
            device: 'auto' takes cuda where there is one.
            batch_size: Greedy requests answered together.

        Raises:
            CheckpointError: There is no such model, or it cannot be loaded.
        """
        folder: Path = local_folder('llm', model, None)
        has_cuda = torch.cuda.is_available() and device != 'cpu'
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(
                folder, padding_side='left', trust_remote_code=False
            )
            self._model: Any = AutoModelForCausalLM.from_pretrained(
                folder,
                dtype=torch.bfloat16 if has_cuda else torch.float32,
                use_safetensors=True,
                trust_remote_code=False,
            )
        except LOAD_ERRORS as error:
            raise CheckpointError(f'{folder}: {one_line(error)}') from error
        self._model.to('cuda' if has_cuda else 'cpu').eval()
        if self._tokenizer.pad_token is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
        self._batch_size = batch_size

    def answer(
        self, requests: Sequence[Request], keep: Callable[[int, Answer], None], tally: Tally
    ) -> None:
        """Answer requests (Engine.answer)."""
        greedy: dict[tuple[int, tuple[str, ...]], list[int]] = {}
        for position, request in enumerate(requests):
            if request.temperature > 0:
                keep(position, self._generate([request])[0])
            else:
                greedy.setdefault((request.max_tokens, request.stop), []).append(position)
        for positions in greedy.values():
            # Alike lengths side by side: less padding.
            positions.sort(key=lambda place: sum(len(t) for _, t in requests[place].messages))
            for first in range(0, len(positions), self._batch_size):
                batch = positions[first : first + self._batch_size]
                answers = self._generate([requests[place] for place in batch])
                for position, answer in zip(batch, answers, strict=True):
                    keep(position, answer)

    @torch.inference_mode()
    def _generate(self, requests: Sequence[Request]) -> list[Answer]:
        """Answer requests of one kind together."""
        first = requests[0]
        inputs = self._tokenizer(
            [self._prompt(request) for request in requests],
            return_tensors='pt',
            padding=True,
            add_special_tokens=False,
        ).to(self._model.device)
        inputs.pop('token_type_ids', None)
        options: dict[str, Any] = {'do_sample': False, 'temperature': None, 'top_p': None}
        if first.temperature > 0:
            torch.manual_seed(first.seed)
            options = {
                'do_sample': True,
                'temperature': first.temperature,
                'top_p': first.top_p,
                'top_k': 0,
            }
        output_BT = self._model.generate(
            **inputs,
            **options,
            max_new_tokens=first.max_tokens,
            pad_token_id=self._tokenizer.pad_token_id,
            stop_strings=list(first.stop) or None,
            tokenizer=self._tokenizer if first.stop else None,
        )
        new_BT = output_BT[:, inputs['input_ids'].shape[1] :]
        return [self._answer_of(ids, first) for ids in new_BT.tolist()]

    def _prompt(self, request: Request) -> str:
        messages = [{'role': role, 'content': text} for role, text in request.messages]
        if self._tokenizer.chat_template:
            prompt: str = self._tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=True
            )
            return prompt
        lines = [f'{message["role"]}: {message["content"]}' for message in messages]
        return '\n'.join([*lines, 'assistant:'])

    def _answer_of(self, ids: list[int], request: Request) -> Answer:
        text: str = self._tokenizer.decode(ids, skip_special_tokens=True)
        ends = [text.index(stop) for stop in request.stop if stop in text]
        if ends:
            return Answer(text[: min(ends)], 'stop')
        is_cut = self._tokenizer.eos_token_id not in ids and len(ids) >= request.max_tokens
        return Answer(text, 'length' if is_cut else 'stop')
