# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Folders and hub names: what is missing or damaged is one line, never a random weight."""

import json
import pickle
import shutil

import numpy as np
import pytest
import torch

from tests.live import GOLDEN
from tests.tiny_models import PickleBomb, make_model_folders
from vlo_ros import checkpoint
from vlo_ros.checkpoint import load_model, local_folder, resolve_device, resolve_dtype
from vlo_ros.config import ModelConfig
from vlo_ros.errors import CheckpointError, ConfigError, VloError
from vlo_ros.events import Frame


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp('made')
    make_model_folders(root, 'llama')
    return root


@pytest.fixture
def folders(made, tmp_path):
    """A tiny model that a test may spoil."""
    shutil.copytree(made, tmp_path / 'model')
    return tmp_path / 'model'


def config_of(root, **changes):
    names = {
        'llm': str(root / 'llm'),
        'vision': str(root / 'vision'),
        'connector': str(root / 'connector.safetensors'),
        'device': 'cpu',
    }
    return ModelConfig(**{**names, **changes})


def refuse(config, match, kind=CheckpointError):
    with pytest.raises(kind, match=match) as caught:
        load_model(config)
    assert '\n' not in str(caught.value)
    assert isinstance(caught.value, VloError)


def test_a_model_of_folders_loads(folders):
    vlo = load_model(config_of(folders))
    assert (vlo.device.type, vlo.dtype) == ('cpu', torch.float32)
    assert vlo.memory_bytes() > 10_000
    assert not any(p.requires_grad for p in vlo.connector.parameters())


def test_encoding_keeps_stamps_and_order(folders):
    vlo = load_model(config_of(folders))
    images = np.random.default_rng(0).integers(256, size=(3, 40, 50, 3), dtype=np.uint8)
    frames = [Frame(100 - n, n, image) for n, image in enumerate(images)]
    encoded = vlo.encode(frames)
    assert [(e.stamp_ns, e.index) for e in encoded] == [(100, 0), (99, 1), (98, 2)]
    assert all(e.tokens_FD.shape == (10, 32) for e in encoded)
    for frame, tokens in zip(frames, encoded, strict=True):
        (alone,) = vlo.encode([frame])
        torch.testing.assert_close(alone.tokens_FD, tokens.tokens_FD, atol=1e-5, rtol=1e-5)
    assert vlo.encode([]) == []


@pytest.mark.parametrize('setting', ['llm', 'vision'])
def test_a_missing_folder_is_named(folders, setting):
    for name in ('/no/such/folder', './absent', '', 'no-slash'):
        refuse(config_of(folders, **{setting: name}), rf'^model\.{setting}: .* is no folder; give')


@pytest.mark.parametrize('setting', ['llm', 'vision'])
def test_a_missing_or_damaged_config_is_named(folders, setting):
    path = folders / setting / 'config.json'
    whole = json.loads(path.read_text())
    path.unlink()
    refuse(config_of(folders), rf'model\.{setting} .*: config\.json is missing')
    for content in ('', '{', '[]', '{}', '{"model_type": "none"}'):
        path.write_text(content)
        refuse(config_of(folders), f'model.{setting}|is not supported')
    path.write_text(json.dumps({**whole, 'hidden_size': 'wide'}))
    refuse(config_of(folders), rf'model\.{setting}')


@pytest.mark.parametrize('setting', ['llm', 'vision'])
def test_weights_that_are_missing_or_damaged_are_never_made_up(folders, setting):
    from safetensors.torch import load_file, save_file

    path = folders / setting / 'model.safetensors'
    whole, tensors = path.read_bytes(), load_file(path)
    path.unlink()
    refuse(config_of(folders), rf'model\.{setting}')
    for damaged in (whole[: len(whole) // 2], b'', b'version https://git-lfs.github.com/spec/v1'):
        path.write_bytes(damaged)
        refuse(config_of(folders), rf'model\.{setting}')
    first, *others = sorted(tensors)
    save_file({name: tensors[name] for name in others}, path, {'format': 'pt'})
    refuse(config_of(folders), rf'model\.{setting} .*: 1 weights are missing.*')
    save_file({**tensors, first: tensors[first][:-1].clone()}, path, {'format': 'pt'})
    refuse(config_of(folders), rf'model\.{setting}')


def test_a_pickle_of_weights_is_never_read(folders):
    for setting in ('llm', 'vision'):
        folder = folders / setting
        (folder / 'model.safetensors').rename(folder / 'kept')
        (folder / 'pytorch_model.bin').write_bytes(pickle.dumps(PickleBomb()))
        refuse(config_of(folders), rf'model\.{setting}')
        (folder / 'kept').rename(folder / 'model.safetensors')


def test_another_kind_of_model_is_refused_with_those_known(folders):
    refuse(config_of(folders, llm=str(folders / 'vision')), 'siglip.* is not supported; known')
    refuse(config_of(folders, vision=str(folders / 'llm')), "'llama' is not supported; known")


def test_a_missing_or_damaged_tokenizer_is_named(folders):
    path = folders / 'llm' / 'tokenizer.json'
    path.write_text('{')
    refuse(config_of(folders), r'model\.llm .*: no usable tokenizer')
    path.unlink()
    refuse(config_of(folders), r'model\.llm .*: no usable tokenizer|^tokenizer: ')


def test_a_connector_must_be_there_and_fit(folders):
    from safetensors.torch import load_file, save_file

    path = folders / 'connector.safetensors'
    tensors = load_file(path)
    refuse(config_of(folders, connector=None), 'neither adapter nor connector', ConfigError)
    refuse(config_of(folders, connector='absent'), 'model.connector absent')
    save_file({name: tensor for name, tensor in tensors.items() if name != '2.bias'}, path)
    refuse(config_of(folders), r'model\.connector .*2\.bias')
    save_file({**tensors, '0.weight': torch.zeros(32, 7)}, path)
    refuse(config_of(folders), r'model\.connector .*0\.weight')
    path.write_bytes(b'damaged')
    refuse(config_of(folders), r'model\.connector')
    path.unlink()
    path.mkdir()
    refuse(config_of(folders), r'model\.connector')


def test_cuda_without_a_gpu_is_refused(folders, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    refuse(config_of(folders, device='cuda'), "'cuda' was asked for, but torch sees", ConfigError)
    assert resolve_device(ModelConfig(device='auto')).type == 'cpu'
    assert resolve_dtype(ModelConfig(device='auto')) == torch.float32
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    assert resolve_device(ModelConfig(device='auto')).type == 'cuda'
    assert resolve_device(ModelConfig(device='cpu')).type == 'cpu'
    assert resolve_dtype(ModelConfig(device='auto')) == torch.bfloat16
    assert resolve_dtype(ModelConfig(device='auto', dtype='float16')) == torch.float16


@pytest.mark.parametrize('dtype', ['bfloat16', 'float16'])
def test_half_precision_holds_everything(folders, dtype):
    vlo = load_model(config_of(folders, dtype=dtype))
    wanted = getattr(torch, dtype)
    assert {vlo.dtype, vlo.tower.dtype} == {wanted}
    image = np.zeros((32, 32, 3), dtype=np.uint8)
    assert vlo.encode([Frame(0, 0, image)])[0].tokens_FD.dtype == wanted


# -- hub names ------------------------------------------------------------------------------


class _UnpluggedError(Exception):
    """What an HTTP library raises is no OSError."""


@pytest.mark.parametrize(
    'error', [_UnpluggedError('no route\nto host'), OSError('x'), ValueError('y')]
)
def test_a_hub_name_that_cannot_be_fetched_is_one_line(folders, monkeypatch, error):
    def fetch(*args, **options):
        raise error

    monkeypatch.setattr(checkpoint, 'snapshot_download', fetch)
    for setting in ('llm', 'vision', 'adapter'):
        refuse(
            config_of(folders, **{setting: 'org/name'}),
            rf"^model\.{setting}: 'org/name' is no folder here and cannot be fetched",
        )


def test_a_folder_is_never_looked_for_on_the_hub(folders, monkeypatch):
    monkeypatch.setattr(checkpoint, 'snapshot_download', lambda *a, **o: pytest.fail('fetched'))
    monkeypatch.chdir(folders.parent)
    assert local_folder('llm', 'model/llm', None).samefile(folders / 'llm')
    monkeypatch.setenv('HOME', str(folders.parent))
    assert local_folder('llm', '~/model/llm', None).samefile(folders / 'llm')


def test_loading_is_silent(folders, capfd):
    load_model(config_of(folders))
    load_model(ModelConfig(llm=str(GOLDEN / 'live1plus/llm'), vision=str(GOLDEN / 'live1plus/vision'), adapter=str(GOLDEN / 'live1plus/checkpoint')))  # fmt: skip # noqa: E501
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ('', '')
