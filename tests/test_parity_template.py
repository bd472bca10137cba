# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The published conversation format: strings always, ids with the real Llama 3 tokenizer.

The tokenizer is not part of this repository. It is found in the package llama-models, where that
is installed, or where VLO_LLAMA3_TOKENIZER names its `tokenizer.model`.
"""

from __future__ import annotations

import base64
import functools
import importlib.util
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import bytes_to_unicode

from tests.golden_scenarios import GOLDEN, load_tiny
from vlo_ros.language import family_of
from vlo_ros.page import Rendered
from vlo_ros.template import ASSISTANT, CLOSE_STREAM, OPEN_STREAM, USER, Template, turns_from

RECORDED = json.loads((GOLDEN / 'data' / 'llama3_template.json').read_text())
SETS = {one['live_version']: one for one in RECORDED['sets']}
CASES = [
    (variant, number)
    for variant, one in SETS.items()
    for number in range(len(one['conversations']))
]
FRAME_TOKENS = {'live1+': 10, 'live1': 1}
PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r'|\s*[\r\n]+|\s+(?!\S)|\s+'
)


def llama3_tokenizer_path() -> Path | None:
    named = os.environ.get('VLO_LLAMA3_TOKENIZER')
    if named:
        return Path(named)
    package = importlib.util.find_spec('llama_models')
    if package is None or not package.submodule_search_locations:
        return None
    path = Path(package.submodule_search_locations[0]) / 'llama3' / 'tokenizer.model'
    return path if path.exists() else None


def special_tokens() -> list[str]:
    """The 256 special tokens of Llama 3 in the order of their ids."""
    reserved = [f'<|reserved_special_token_{number}|>' for number in range(256)]
    return [
        '<|begin_of_text|>',
        '<|end_of_text|>',
        *reserved[:4],
        '<|start_header_id|>',
        '<|end_header_id|>',
        reserved[4],
        '<|eot_id|>',
        *reserved[5:251],
    ]


@functools.cache
def llama3_tokenizer(path: Path) -> PreTrainedTokenizerBase:
    """Build the tokenizer from its table of byte strings and ranks."""
    letters = bytes_to_unicode()
    lines = (line.split() for line in path.read_bytes().splitlines() if line)
    ranks = {base64.b64decode(token): int(rank) for token, rank in lines}

    def spell(token: bytes) -> str:
        return ''.join(letters[byte] for byte in token)

    merges = []
    for token in sorted(ranks, key=ranks.__getitem__):
        splits = [(token[:at], token[at:]) for at in range(1, len(token))]
        halves = [pair for pair in splits if pair[0] in ranks and pair[1] in ranks]
        halves.sort(key=lambda pair: (ranks[pair[0]], ranks[pair[1]]))
        merges += [(spell(left), spell(right)) for left, right in halves]
    vocabulary = {spell(token): rank for token, rank in ranks.items()}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERN), behavior='isolated'),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(
        [AddedToken(token, special=True, normalized=False) for token in special_tokens()]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token='<|begin_of_text|>', eos_token='<|eot_id|>'
    )


@pytest.fixture
def llama3_template() -> Callable[[str], Template]:
    path = llama3_tokenizer_path()
    if path is None:
        pytest.skip('no Llama 3 tokenizer: neither llama-models nor VLO_LLAMA3_TOKENIZER is there')

    def make(variant: str) -> Template:
        return Template(
            llama3_tokenizer(path), family_of('llama'), FRAME_TOKENS[variant], variant == 'live1+'
        )

    return make


def tiny_template(variant: str) -> Template:
    return load_tiny('live1plus' if variant == 'live1+' else 'live1').template


def render(template: Template, messages: list[dict[str, Any]], **options: Any) -> Rendered:
    return template.render(turns_from(messages), **options)


@pytest.mark.parametrize(('variant', 'number'), CASES)
def test_text_and_learned_ranges(variant: str, number: int) -> None:
    expected = SETS[variant]['conversations'][number]
    rendered = render(tiny_template(variant), expected['conversation'])
    assert rendered.text == expected['text']
    assert [list(pair) for pair in rendered.learn_ranges] == expected['learn_ranges']


@pytest.mark.parametrize('variant', SETS)
def test_texts_of_the_live_pieces(variant: str) -> None:
    template, pieces = tiny_template(variant), SETS[variant]['prompt_pieces']
    system = pieces['start']['messages'][0]['content']
    query = pieces['query']['messages'][0]['content']
    assert template.bos + system + '\n' + OPEN_STREAM == pieces['start']['text']
    assert pieces['stream_prompt']['text'] == OPEN_STREAM
    assert pieces['stream_generation']['text'] == CLOSE_STREAM + ASSISTANT
    assert CLOSE_STREAM + USER + query + ASSISTANT == pieces['query']['text']
    for name, prompts in (('generation', True), ('empty_stream', False)):
        piece = pieces[name]
        rendered = render(template, piece['messages'], prompt_response=prompts)
        assert rendered.text == piece['text']


@pytest.mark.parametrize(('variant', 'number'), CASES)
def test_ids_and_labels(
    variant: str, number: int, llama3_template: Callable[[str], Template]
) -> None:
    expected = SETS[variant]['conversations'][number]
    rendered = render(llama3_template(variant), expected['conversation'])
    assert rendered.input_ids == expected['input_ids']
    assert rendered.labels == expected['labels']


@pytest.mark.parametrize('variant', SETS)
def test_ids_of_the_live_pieces(variant: str, llama3_template: Callable[[str], Template]) -> None:
    template, one = llama3_template(variant), SETS[variant]
    assert template.placeholder_id == one['v_placeholder_id']
    assert template.eos_id == one['eos_token_id']
    assert template.silence_id == (one['frame_token_interval_id'] or one['eos_token_id'])
    assert template.stream_end_id == RECORDED['stream_end_id']
    assert len(template.tokenizer) == one['tokenizer_length']
    for name in ('start', 'stream_prompt', 'stream_generation', 'query'):
        piece = one['prompt_pieces'][name]
        assert template.encode(piece['text'], first=name == 'start') == piece['ids'], name
    for name, prompts in (('generation', True), ('empty_stream', False)):
        piece = one['prompt_pieces'][name]
        rendered = render(template, piece['messages'], prompt_response=prompts)
        assert rendered.input_ids == piece['ids'], name
