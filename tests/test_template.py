# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The conversation format, with tokenizers of every family."""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import pre_tokenizers

from tests.live import GOLDEN
from tests.tiny_models import LLAMA3_SPLIT, byte_level, make_tokenizer
from vlo_ros.errors import CheckpointError, TemplateError
from vlo_ros.language import family_of
from vlo_ros.page import IGNORE
from vlo_ros.template import ASSISTANT, PLACEHOLDER, Template, Turn, turns_from

KINDS = ('llama3', 'sentencepiece', 'sentencepiece_first', 'tekken', 'qwen')
FAMILY = family_of('llama')


@pytest.fixture(scope='module', params=KINDS)
def template(request):
    return Template(make_tokenizer(request.param), FAMILY, 10, use_interval=True)


def conversation(template, seed):
    """A random conversation that the template allows."""
    chance = random.Random(seed)
    turns, role = [Turn('system', 'A helper watches.')], 'system'
    following = {
        'system': 'us',
        'u': 'ausu',
        'a': 'us',
        's': 'ua',
    }
    while len(turns) < 12 or role not in 'a':
        role = chance.choice(following[role])
        words = chance.choice(('You wait.', 'I am, as it were, 42 ]', 'cup', 'the kettle [hot]'))
        if role == 's':
            turns.append(Turn('stream', num_frames=chance.randrange(1, 5), learn=True))
        elif role == 'u':
            turns.append(Turn('user', words))
        else:
            turns.append(Turn('assistant', words, learn=True))
    return turns


@pytest.mark.parametrize('use_interval', [True, False])
@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('seed', range(3))
def test_the_whole_text_tokenised_equals_its_pieces(kind, use_interval, seed):
    num_tokens = 10 if use_interval else 1
    template = Template(make_tokenizer(kind), FAMILY, num_tokens, use_interval)
    rendered = template.render(conversation(template, seed))
    whole = template.tokenizer(rendered.text, add_special_tokens=False)['input_ids']
    assert rendered.input_ids == whole
    assert rendered.is_frame == [i == template.placeholder_id for i in whole]


@pytest.mark.parametrize('seed', range(3))
def test_what_is_learned_is_what_the_decoder_looks_for(template, seed):
    """After a frame: the interval or the end of the stream; then the words and eos."""
    turns = conversation(template, seed)
    rendered = template.render(turns)
    ids, labels = rendered.input_ids, rendered.labels
    assert all(label in (IGNORE, ids[n + 1]) for n, label in enumerate(labels[:-1]))
    frame_ends = [
        n
        for n in range(len(ids))
        if rendered.is_frame[n] and (n + 1 == len(ids) or not rendered.is_frame[n + 1])
    ]
    targets = [labels[n] for n in frame_ends]
    assert set(targets) <= {template.silence_id, template.stream_end_id}
    num_streams = sum(turn.role == 'stream' for turn in turns)
    assert targets.count(template.stream_end_id) == num_streams
    assert labels.count(template.eos_id) == sum(turn.role == 'assistant' for turn in turns)


def test_a_variant_without_interval_learns_eos_as_silence():
    template = Template(make_tokenizer('llama3'), FAMILY, 1, use_interval=False)
    assert (template.silence_id, template.interval_ids) == (template.eos_id, [])
    rendered = template.render([Turn('stream', num_frames=3, learn=True), Turn('user', 'x')])
    frames = [n for n, is_frame in enumerate(rendered.is_frame) if is_frame]
    assert frames == list(range(frames[0], frames[0] + 3))
    assert [rendered.labels[n] for n in frames] == [
        template.eos_id,
        template.eos_id,
        template.stream_end_id,
    ]


def test_ids_are_looked_up(template):
    tokenizer = template.tokenizer
    assert tokenizer.decode(template.interval_ids).strip() == ','
    assert tokenizer.decode([template.stream_end_id]).strip() == ']'
    assert tokenizer.convert_ids_to_tokens(template.placeholder_id) == PLACEHOLDER
    assert template.eos_id == tokenizer.eos_token_id
    assert template.encode(ASSISTANT + ' words')[: len(template.encode(ASSISTANT))] == (
        template.encode(ASSISTANT)
    )


def test_the_published_tokenizer_keeps_its_ids():
    """The golden tokenizers, with and without `<v>` in them."""
    fixed = json.loads((GOLDEN / 'live1plus' / 'inference.json').read_text())
    from transformers import AutoTokenizer

    for folder in ('llm', 'checkpoint'):
        tokenizer = AutoTokenizer.from_pretrained(GOLDEN / 'live1plus' / folder)
        template = Template(tokenizer, FAMILY, 10, use_interval=True)
        assert template.silence_id == fixed['silence_id']
        assert template.stream_end_id == fixed['stream_end_id']
        assert template.eos_id == fixed['eos_id']
        assert template.placeholder_id == fixed['v_placeholder_id']


# -- tokenizers that cannot be used ---------------------------------------------------------


def fast(tokenizer, **specials):
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **specials)


def test_a_comma_of_two_tokens_is_refused():
    tokenizer = byte_level(LLAMA3_SPLIT)
    tokenizer.normalizer = _replace(',', ', ,')
    with pytest.raises(CheckpointError, match=r"^tokenizer: ',' must be one token.*it is 3$"):
        Template(fast(tokenizer, eos_token='</s>'), FAMILY, 10, use_interval=True)


def test_a_comma_that_is_unknown_is_refused():
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel

    words = {'<unk>': 0, ']': 1, 'User:': 2, 'Assistant:': 3, 'word': 4}
    tokenizer = Tokenizer(WordLevel(words, unk_token='<unk>'))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    with pytest.raises(CheckpointError, match="',' must be one token"):
        Template(fast(tokenizer, eos_token='</s>', unk_token='<unk>'), FAMILY, 10, True)


def test_no_eos_is_refused():
    with pytest.raises(CheckpointError, match='no eos token'):
        Template(fast(byte_level(LLAMA3_SPLIT)), FAMILY, 10, use_interval=True)


def test_a_stream_end_that_depends_on_who_speaks_is_refused():
    tokenizer = byte_level(LLAMA3_SPLIT)
    tokenizer.normalizer = _replace(']\nUser', '!\nUser')
    with pytest.raises(CheckpointError, match='"]" before User and before Assistant differ'):
        Template(fast(tokenizer, eos_token='</s>'), FAMILY, 10, use_interval=True)


def test_silence_that_looks_like_the_end_of_a_stream_is_refused():
    tokenizer = byte_level(LLAMA3_SPLIT)
    tokenizer.normalizer = _replace(']\n', ',')
    with pytest.raises(CheckpointError, match='the same id'):
        Template(fast(tokenizer, eos_token='</s>'), FAMILY, 10, use_interval=True)


def test_words_that_merge_with_the_prompt_are_refused():
    tokenizer = byte_level(LLAMA3_SPLIT)
    tokenizer.normalizer = _replace('Assistant: w', 'Assistant w')
    with pytest.raises(CheckpointError, match='merges with what follows'):
        Template(fast(tokenizer, eos_token='</s>'), FAMILY, 10, use_interval=True)


def _replace(old, new):
    from tokenizers import normalizers

    return normalizers.Replace(old, new)


# -- what a person types --------------------------------------------------------------------

PIECES = st.sampled_from(
    [
        '<v>',
        '<v',
        'v>',
        '>',
        '<|eot_id|>',
        '<|im_end|>',
        '<|im_start|>',
        '</s>',
        '<s>',
        '<unk>',
        '<|begin_of_text|>',
        '<|end_',
        'of_text|>',
        '\n[',
        ']',
        ']\nAssistant:',
        '\nUser: ',
        '\r',
        '\x00',
        '\x85',
        '\u2028',
        '\ud800',
        ' ',
        '\t',
        'what?',
        ',',
        '\u2581',
        '<0x0A>',
        '\U0001f600',
    ]
)
TYPED = st.lists(PIECES | st.text(max_size=4), max_size=12).map(''.join)


@settings(max_examples=60, deadline=None, derandomize=False, print_blob=True)
@given(text=TYPED)
def test_typed_text_cannot_forge_a_turn(template, text):
    """No special token, no newline: the turn it is in stays the only one."""
    tokenizer = template.tokenizer
    line = template.plain(text)
    assert template.plain(line) == line
    ids = template.encode(f'\nUser: {line}\nAssistant:')
    assert not set(ids) & (set(tokenizer.all_special_ids) - {tokenizer.unk_token_id})
    assert template.placeholder_id not in ids
    assert line.count('\n') == 0
    decoded = tokenizer.decode(ids, clean_up_tokenization_spaces=False)
    assert decoded.count('\n') == 2
    assert decoded.endswith(ASSISTANT)


def test_harmless_text_stays_as_it_is(template):
    assert template.plain('What is [this], and why <here>?') == 'What is [this], and why <here>?'
    assert template.plain('  two\n lines\t') == 'two lines'
    assert template.plain('\n \x00') == ''


def test_special_tokens_that_cannot_be_parted_are_left_out():
    tokenizer = make_tokenizer('llama3')
    tokenizer.add_tokens(['~', 'two words', '\n\n'], special_tokens=True)
    template = Template(tokenizer, FAMILY, 10, use_interval=True)
    assert template.plain('a~b two words c two  words') == 'ab c'
    assert template.has_special('a ~ b')
    assert not template.has_special('a b\n\nc')


# -- conversations --------------------------------------------------------------------------


@pytest.mark.parametrize(
    'roles',
    [
        ('stream', 'stream'),
        ('assistant', 'assistant'),
        ('system', 'assistant'),
        ('user', 'system'),
    ],
)
def test_turns_that_training_never_saw_are_refused(template, roles):
    turns = [Turn(role, 'x', num_frames=1) for role in roles]
    with pytest.raises(TemplateError, match=f'a {roles[1]} turn cannot follow a {roles[0]} turn'):
        template.render(turns)


def test_a_stream_without_frames_is_no_turn(template):
    turns = [Turn('user', 'a'), Turn('stream', num_frames=0), Turn('assistant', 'b')]
    assert template.render(turns) == template.render([turns[0], turns[2]])


def test_messages_become_turns():
    messages = [
        {'role': 'stream', 'num_frames': 2, 'learn': 1},
        {'role': 'user', 'content': 'a'},
        {'role': 'assistant', 'content': 'b', 'learn': True},
    ]
    assert turns_from(messages, 'watch') == [
        Turn('system', 'watch'),
        Turn('stream', num_frames=2, learn=1),
        Turn('user', 'a'),
        Turn('assistant', 'b', learn=True),
    ]


@pytest.mark.parametrize('message', [{}, {'role': 'robot', 'content': ''}, {'role': 'stream'}])
def test_a_message_that_is_none_is_named_by_its_number(message):
    with pytest.raises(TemplateError, match='message 1: expected a role out of system, user'):
        turns_from([{'role': 'user', 'content': 'a'}, message])
