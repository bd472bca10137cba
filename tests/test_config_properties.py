# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Any settings: right ones come back as they were given, a wrong one is one line with its name."""

from __future__ import annotations

import dataclasses
import math
import tempfile
import types
import typing
from pathlib import Path

import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from vlo_ros.config import WEIGHT_PATHS, ModelConfig, StreamConfig, VloConfig, load_config
from vlo_ros.errors import ConfigError

SECTIONS = {'model': ModelConfig, 'stream': StreamConfig}
SPECS = [
    (section, spec, typing.get_type_hints(kind)[spec.name])
    for section, kind in SECTIONS.items()
    for spec in dataclasses.fields(kind)
]
# What YAML can hold as text: no control characters, no halves of pairs.
TEXT = st.text(
    st.characters(exclude_categories=['Cc', 'Cs'], exclude_characters='\ufeff\ufffe\uffff'),
    max_size=20,
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=True), TEXT, st.just('2')
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)


def kind_of(hint):
    """Return the type of a setting, and whether it may be unset."""
    kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    return next(kind for kind in kinds if kind is not type(None)), type(None) in kinds


def right(spec, hint):
    """Values that a setting accepts, as they are to be found afterwards."""
    kind, may_be_unset = kind_of(hint)
    metadata = spec.metadata
    if spec.name == 'chunk':
        values = st.just('auto') | st.integers(1, 256).map(str)
    elif metadata['choices']:
        values = st.sampled_from(metadata['choices'])
    elif kind is bool:
        values = st.booleans()
    elif kind is int:
        values = st.integers(math.ceil(metadata['ge']), math.floor(metadata['le']))
    elif kind is float:
        values = st.floats(metadata['ge'], metadata['le'])
    elif spec.name in WEIGHT_PATHS:
        values = st.just('organisation/name')  # of the hub; a path would be anchored
    else:
        values = TEXT
    return st.none() | values if may_be_unset else values


@st.composite
def mappings(draw):
    content = {}
    for section, spec, hint in SPECS:
        if draw(st.integers(0, 3)) == 0 and spec.name != 'connector':
            content.setdefault(section, {})[spec.name] = draw(right(spec, hint))
    return content or {'stream': {}}


def read(content):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'some.yaml'
        path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding='utf-8')
        return load_config(path)


@settings(max_examples=200, deadline=None, print_blob=True)
@given(content=mappings())
def test_right_settings_come_back_and_the_others_are_defaults(content):
    config = read(content)
    expected = VloConfig(*(kind(**content.get(section, {})) for section, kind in SECTIONS.items()))
    assert config == expected
    for section, values in content.items():
        for name, value in values.items():
            assert getattr(getattr(config, section), name) == value
    assert read(dataclasses.asdict(config)) == config


@settings(max_examples=300, deadline=None, print_blob=True)
@given(content=mappings(), place=st.sampled_from(SPECS), value=ANYTHING)
def test_any_value_is_taken_or_refused_in_one_line_that_names_the_setting(content, place, value):
    section, spec, hint = place
    assume(not (spec.name in WEIGHT_PATHS and isinstance(value, str | int)))
    content.setdefault(section, {})[spec.name] = value
    try:
        config = read(content)
    except ConfigError as error:
        line = str(error)
        assert f'{section}.{spec.name}' in line
        assert '\n' not in line
    else:
        found = getattr(getattr(config, section), spec.name)
        kind, may_be_unset = kind_of(hint)
        assert isinstance(found, kind) or (may_be_unset and found is None)
        # Nothing was made of it that was not said.
        assert found == value or (kind is str and found == str(value))


@settings(max_examples=100, deadline=None, print_blob=True)
@given(content=mappings(), section=st.sampled_from(sorted(SECTIONS)), name=TEXT, value=SCALARS)
def test_an_unknown_setting_is_named(content, section, name, value):
    assume(name not in {spec.name for spec in dataclasses.fields(SECTIONS[section])})
    content.setdefault(section, {})[name] = value
    with pytest.raises(ConfigError) as caught:
        read(content)
    assert f'{section}.{name} is unknown' in str(caught.value)
    assert '\n' not in str(caught.value)


@settings(max_examples=200, deadline=None, print_blob=True)
@given(content=ANYTHING)
def test_anything_at_all_is_a_configuration_or_one_line(content):
    try:
        config = read(content)
    except ConfigError as error:
        assert '\n' not in str(error)
    else:
        assert isinstance(config, VloConfig)


@settings(max_examples=200, deadline=None, print_blob=True)
@given(text=st.text(max_size=60) | st.text('{}[]:-&*!|>\'"%@`#,?\n\t ab', max_size=60))
def test_any_text_is_a_configuration_or_one_line(text):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'some.yaml'
        path.write_bytes(text.encode('utf-8', 'surrogatepass'))
        try:
            load_config(path)
        except ConfigError as error:
            assert '\n' not in str(error)
