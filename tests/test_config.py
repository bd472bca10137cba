# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Settings: bounds, one-line errors, and every YAML that ships."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import yaml

from vlo_ros.config import (
    ModelConfig,
    StreamConfig,
    VloConfig,
    load_config,
)
from vlo_ros.config_options import config_of_parts, parse_settings
from vlo_ros.errors import ConfigError
from vlo_ros.known_models import KNOWN_MODELS

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = sorted((ROOT / 'config' / 'models').glob('*.yaml'))


def write(folder: Path, content: Any) -> Path:
    path = folder / 'model.yaml'
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


@pytest.mark.parametrize('path', SHIPPED, ids=lambda path: path.name)
def test_every_shipped_model_loads(path: Path) -> None:
    config = load_config(path)
    assert config.model.truthful
    # Their sizes are known without a download.
    assert {config.model.llm, config.model.vision} <= set(KNOWN_MODELS)


def test_the_published_model_is_the_published_one() -> None:
    config = load_config(ROOT / 'config' / 'models' / 'llama3_8b_siglip_l384.yaml')
    assert config.model.llm == 'meta-llama/Meta-Llama-3-8B-Instruct'
    assert config.model.vision == 'google/siglip-large-patch16-384'
    assert config.model.adapter == 'chenjoya/videollm-online-8b-v1plus'
    assert (config.model.variant, config.stream.frame_fps) == ('live1+', 2.0)
    assert config.stream.silence_threshold == 0.725


def test_the_bundled_model_loads() -> None:
    config = load_config('bundled')
    assert Path(config.model.llm).is_dir()


def test_relative_paths_start_at_the_yaml(tmp_path: Path) -> None:
    (tmp_path / 'llm').mkdir()
    content = {
        'llm': 'llm',
        'vision': './absent',
        'adapter': 'org/name',
        'connector': 'c.safetensors',
    }
    model = load_config(write(tmp_path, {'model': content})).model
    assert model.llm == str(tmp_path / 'llm')
    assert Path(model.vision) == tmp_path / 'absent'
    assert model.adapter == 'org/name'
    assert model.connector == str(tmp_path / 'c.safetensors')


def test_changes_override_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, {'stream': {'frame_fps': 4, 'chunk': 8}})
    config = load_config(path, frame_fps=1.0, variant='live1')
    assert (config.stream.frame_fps, config.stream.chunk) == (1.0, '8')
    assert config.model.variant == 'live1'


def test_paths_of_the_command_line_start_where_it_is_typed(tmp_path: Path) -> None:
    (tmp_path / 'llm').mkdir()
    path = write(tmp_path, {'model': {'llm': 'llm'}})
    model = load_config(path, llm='./llm', connector='c.safetensors').model
    assert (model.llm, model.connector) == ('./llm', 'c.safetensors')


def test_empty_sections_are_the_defaults(tmp_path: Path) -> None:
    assert load_config(write(tmp_path, 'model:\nstream:\n')) == VloConfig()


@pytest.mark.parametrize(
    ('content', 'says'),
    [
        ('model: [', 'not valid YAML'),
        ('just words', "expected the sections 'model' and 'stream'"),
        ('', "expected the sections 'model' and 'stream'"),
        ({'models': {}}, "'models' is not among the sections 'model' and 'stream'"),
        ({'model': ['llm']}, 'must be a mapping'),
        ({'stream': {'fps': 2}}, r'stream\.fps is unknown; known: frame_fps'),
        ({'stream': {'frame_fps': 0}}, r'stream\.frame_fps: 0\.0 is outside 0\.05 to 120'),
        ({'stream': {'frame_fps': float('nan')}}, r'frame_fps: nan is outside'),
        ({'stream': {'frame_fps': '2'}}, "'2' is not a float"),
        ({'stream': {'frame_fps': True}}, 'True is not a float'),
        ({'stream': {'max_new_tokens': 1.5}}, '1.5 is not a int'),
        ({'stream': {'frame_fps': 10**400}}, 'frame_fps: the number is too large'),
        ({'stream': {'frame_fps': float('inf')}}, 'frame_fps: inf is outside'),
        ({'stream': {'silence_threshold': 1.02}}, r'1\.02 is outside 0\.0 to 1\.01'),
        ({'stream': {'chunk': '\u00b2'}}, "neither 'auto' nor 1 to 256"),
        ({'stream': {'chunk': 257}}, "'257' is neither 'auto' nor 1 to 256"),
        ({'stream': False}, "section 'stream' must be a mapping"),
        ({'model': {'llm': ['a']}}, r"model\.llm: \['a'\] is not a str"),
        ({'stream': {'chunk': 'many'}}, "'many' is neither 'auto' nor 1 to 256"),
        ({'stream': {'protocol': 'newest'}}, "'newest' is not one of 'template', 'official'"),
        ({'model': {'variant': 'live2'}}, "'live2' is not one of 'live1\\+', 'live1'"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, content: Any, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        load_config(write(tmp_path, content))
    assert '\n' not in str(caught.value)


def test_a_missing_or_binary_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match='No such file'):
        load_config(tmp_path / 'none.yaml')
    (tmp_path / 'b.yaml').write_bytes(b'\xff\xfe\x00')
    with pytest.raises(ConfigError, match='not valid YAML'):
        load_config(tmp_path / 'b.yaml')


def test_an_unknown_change_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown setting 'frame_rate'; known: llm, "):
        load_config(write(tmp_path, {'model': {}}), frame_rate=2)


def test_every_setting_is_described_and_its_default_is_accepted() -> None:
    assert VloConfig() == VloConfig(ModelConfig(), StreamConfig())
    for kind in (ModelConfig, StreamConfig):
        for spec in dataclasses.fields(kind):
            assert spec.metadata['doc'], spec.name


def test_a_threshold_of_its_own_right_after_speaking() -> None:
    assert StreamConfig(silence_threshold=0.5).threshold_after(spoke=True) == 0.5
    config = StreamConfig(silence_threshold=0.5, resume_silence_threshold=0.3)
    assert config.threshold_after(spoke=True) == 0.3
    assert config.threshold_after(spoke=False) == 0.5


def test_settings_of_the_command_line() -> None:
    pairs = [
        'instruction=Narrate: all [of] it',
        'window_tokens=4096',
        'interrupt=true',
        'llm_revision=',
    ]
    assert parse_settings(pairs) == {
        'instruction': 'Narrate: all [of] it',
        'window_tokens': 4096,
        'interrupt': True,
        'llm_revision': None,
    }
    with pytest.raises(ConfigError, match='expected NAME=VALUE'):
        parse_settings(['interrupt'])
    with pytest.raises(ConfigError, match='window_tokens'):
        parse_settings(['window_tokens={'])


def test_a_model_of_parts_needs_all_of_them() -> None:
    parts = {'llm': 'a', 'vision': 'b', 'adapter': 'c'}
    assert config_of_parts(parts, frame_fps=4.0).stream.frame_fps == 4.0
    with pytest.raises(ConfigError, match='--vision and --adapter must be given too'):
        config_of_parts({**parts, 'vision': None, 'adapter': None})
    with pytest.raises(ConfigError, match="unknown setting 'speed'"):
        config_of_parts(parts, speed=1)
