# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a model needs: right numbers from configs alone, and what is missing in one line."""

from __future__ import annotations

import json
import shutil
from itertools import pairwise
from pathlib import Path

import pytest
from safetensors.torch import load_file
from typer.testing import CliRunner, Result

from tests.golden_scenarios import GOLDEN, VARIANTS, load_tiny
from tests.recordings import cut
from vlo_ros.cli import app
from vlo_ros.config import ModelConfig, StreamConfig, VloConfig, load_config
from vlo_ros.errors import CheckpointError
from vlo_ros.footprint import measure
from vlo_ros.stream import Stream

ROOT = Path(__file__).resolve().parents[1]
PUBLISHED = ROOT / 'config' / 'models' / 'llama3_8b_siglip_l384.yaml'


@pytest.fixture(autouse=True)
def offline_and_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No hub, and no model downloaded before."""
    monkeypatch.setattr('huggingface_hub.constants.HF_HUB_CACHE', str(tmp_path / 'hub'))
    monkeypatch.setattr('huggingface_hub.constants.HF_HUB_OFFLINE', True)


def check(*arguments: object) -> Result:
    return CliRunner().invoke(app, ['check-model', *map(str, arguments)])


def copy_of_tiny(folder: Path) -> Path:
    return Path(shutil.copytree(GOLDEN / 'live1plus', folder / 'model'))


def numbers_in(path: Path, part: str) -> int:
    """How many numbers the tensors hold whose name has `part` in it."""
    return sum(tensor.numel() for name, tensor in load_file(path).items() if part in name)


@pytest.mark.parametrize('variant', VARIANTS)
def test_agrees_with_the_weights_and_the_loaded_model(variant: str) -> None:
    config = load_config(GOLDEN / variant / 'model.yaml', device='cpu')
    footprint = measure(config)
    model = load_tiny(variant)
    folder = GOLDEN / variant
    files = {
        'vision': (folder / 'vision' / 'model.safetensors', 'vision_model.'),
        'language': (folder / 'llm' / 'model.safetensors', ''),
        'connector': (folder / 'checkpoint' / 'adapter_model.safetensors', '.connector.'),
    }
    for name, (path, part) in files.items():
        assert footprint.parameters[name] == numbers_in(path, part), name
    stream = Stream(model, config.stream)
    assert footprint.window_bytes('float32') == stream.decoder.cache.num_bytes
    assert footprint.window_tokens == stream.decoder.cache.capacity
    assert footprint.frame_num_tokens == model.template.frame_num_tokens
    assert footprint.tokens_per_frame == footprint.frame_num_tokens + len(
        model.template.interval_ids
    )
    assert footprint.fits('float32')


def test_a_window_beyond_the_training_is_noted() -> None:
    footprint = measure(load_config(PUBLISHED, device='cpu', window_tokens=9000))
    assert footprint.window_tokens == 9000
    assert any('window_tokens: 9000 is more than the 8192' in note for note in footprint.notes)


def test_the_published_model_without_a_download() -> None:
    footprint = measure(load_config(PUBLISHED, device='cpu'))
    # The hub calls it 8.03 B; 2 x 32 layers x 8 heads x 128 numbers a position, 2 bytes each.
    assert footprint.parameters['language'] == 8_030_261_248
    assert footprint.parameters['connector'] == 1024 * 4096 + 4096 + 4096 * 4096 + 4096
    assert footprint.cache_bytes_per_token('bfloat16') == 131_072
    assert footprint.weight_bytes('bfloat16') == 2 * footprint.num_parameters
    assert footprint.window_tokens == 8192
    assert footprint.window_minutes == pytest.approx(8192 / 11 / 120)
    assert footprint.cache_bytes_per_minute('bfloat16') == pytest.approx(11 * 120 * 131_072)
    assert not footprint.missing()
    notes = ' '.join(footprint.notes)
    for name in (
        'Meta-Llama-3-8B-Instruct',
        'siglip-large-patch16-384',
        'videollm-online-8b-v1plus',
    ):
        assert f'{name} is not on this machine' in notes


def test_the_frame_rate_fills_the_cache() -> None:
    slow = measure(load_config(PUBLISHED, device='cpu', frame_fps=2.0))
    fast = measure(load_config(PUBLISHED, device='cpu', frame_fps=10.0))
    assert fast.cache_bytes_per_minute('bfloat16') == pytest.approx(
        5 * slow.cache_bytes_per_minute('bfloat16')
    )
    assert fast.window_bytes('bfloat16') == slow.window_bytes('bfloat16')


def test_quantization_shrinks_the_linear_layers() -> None:
    footprint = measure(load_config(PUBLISHED, device='cpu'))
    sizes = [footprint.weight_bytes(name) for name in ('float32', 'bfloat16', 'int8', 'int4')]
    assert all(larger > smaller for larger, smaller in pairwise(sizes))
    layer = 2 * 4096 * 4096 + 2 * 4096 * 1024 + 3 * 4096 * 14_336
    assert footprint.linear_parameters == 32 * layer + 128_256 * 4096


@pytest.mark.parametrize('path', sorted((ROOT / 'config' / 'models').glob('*.yaml')), ids=str)
def test_every_shipped_model_can_be_checked(path: Path) -> None:
    result = check(path, '--fps', 4, '--json')
    assert result.exit_code == 0, result.output
    described = json.loads(result.stdout)
    assert described['frame_fps'] == 4
    assert described['parameters']['total'] > 7e9
    assert set(described['weights_gb']) == {
        'float32', 'bfloat16', 'int8', 'float8', 'int4',
    }  # fmt: skip


def test_people_get_a_table() -> None:
    result = check(GOLDEN / 'live1plus' / 'model.yaml')
    assert result.exit_code == 0, result.output
    assert 'language' not in result.stderr
    for words in ('parameters', 'cache/min', 'fits here', 'its words mean nothing'):
        assert words in result.stdout


@pytest.mark.parametrize(
    ('absent', 'says'),
    [
        ('llm/model.safetensors', 'model.llm'),
        ('llm/tokenizer.json', 'tokenizer.json'),
        ('vision/model.safetensors', 'model.vision'),
        ('checkpoint/adapter_model.safetensors', 'adapter_model.safetensors'),
        ('checkpoint/adapter_config.json', 'adapter_config.json'),
        ('llm/config.json', 'config.json is missing'),
    ],
)
def test_a_missing_file_is_named_in_one_line(tmp_path: Path, absent: str, says: str) -> None:
    folder = copy_of_tiny(tmp_path)
    (folder / absent).unlink()
    result = check(folder / 'model.yaml')
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert says in line
    assert 'missing' in line


def test_a_cut_weight_file_is_named(tmp_path: Path) -> None:
    folder = copy_of_tiny(tmp_path)
    cut(folder / 'llm' / 'model.safetensors', 0.5)
    result = check(folder / 'model.yaml')
    assert result.exit_code == 1
    assert 'missing or damaged: model.safetensors' in result.stderr


def test_shards_are_looked_up_in_their_index(tmp_path: Path) -> None:
    folder = copy_of_tiny(tmp_path)
    (folder / 'llm' / 'model.safetensors').rename(
        folder / 'llm' / 'model-00001-of-00002.safetensors'
    )
    shards = {f'weight.{i}': f'model-0000{i}-of-00002.safetensors' for i in (1, 2)}
    index = folder / 'llm' / 'model.safetensors.index.json'
    index.write_text(json.dumps({'weight_map': shards}))
    result = check(folder / 'model.yaml')
    assert 'missing or damaged: model-00002-of-00002.safetensors' in result.stderr


def test_an_adapter_of_another_base_is_told() -> None:
    tiny = GOLDEN / 'live1plus'
    model = ModelConfig(
        llm=str(tiny / 'llm'),
        vision=str(GOLDEN / 'live1' / 'vision'),
        adapter=str(tiny / 'checkpoint'),
    )
    with pytest.raises(CheckpointError, match='connector'):
        measure(VloConfig(model, StreamConfig()))


@pytest.mark.parametrize(
    ('llm', 'says'),
    [
        ('./absent', 'is no folder'),
        ('absent', 'is no folder'),
        ('some-org/unknown-model', 'is not on this machine; name a folder or run `hf download'),
    ],
)
def test_what_is_nowhere_is_told_offline(llm: str, says: str) -> None:
    tiny = GOLDEN / 'live1plus'
    model = ModelConfig(llm=llm, vision=str(tiny / 'vision'), adapter=str(tiny / 'checkpoint'))
    with pytest.raises(CheckpointError, match=says):
        measure(VloConfig(model, StreamConfig()))
