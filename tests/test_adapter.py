# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""LoRA and connector: what fits, what does not, and that nothing is ever made up."""

import json
import pickle
import shutil

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from tests.live import GOLDEN
from tests.tiny_models import SIZES, PickleBomb, make_model_folders
from vlo_ros.adapter import merge_adapter
from vlo_ros.attention import Segment
from vlo_ros.checkpoint import load_base, load_model
from vlo_ros.config import ModelConfig, load_config
from vlo_ros.connector import make_connector
from vlo_ros.errors import CheckpointError
from vlo_ros.language import LORA_TARGETS

PREFIX = 'base_model.model.'
NAME = 'adapter_model.safetensors'


@pytest.fixture
def adapter(tmp_path):
    """A copy of a golden adapter that a test may spoil: its folder and its tensors."""
    folder = tmp_path / 'adapter'
    shutil.copytree(GOLDEN / 'live1plus' / 'checkpoint', folder)
    for path in folder.iterdir():
        path.chmod(0o644)
    return folder, load_file(folder / NAME)


def config_with(adapter, **changes):
    path = GOLDEN / 'live1plus' / 'model.yaml'
    return load_config(path, adapter=str(adapter), device='cpu', **changes).model


def frame_logits(vlo):
    """Logits over a few words: they depend on every layer and on the head."""
    language = vlo.language
    ids = vlo.template.encode('You pour water into the kettle.')
    cache = language.new_cache(64)
    return language.forward([Segment(language.embed(ids), cache, tuple(range(len(ids))))])[0]


@pytest.mark.parametrize('variant', ['live1plus', 'live1'])
def test_the_published_layout_is_what_was_recorded(variant):
    recorded = json.loads((GOLDEN / variant / 'checkpoint_keys.json').read_text())
    tensors = load_file(GOLDEN / variant / 'checkpoint' / NAME)
    assert {name: list(tensor.shape) for name, tensor in tensors.items()} == recorded
    assert f'{PREFIX}lm_head.base_layer.weight' in recorded


def test_lora_is_merged_by_the_textbook(live1plus):
    folder = GOLDEN / 'live1plus' / 'checkpoint'
    tensors = load_file(folder / NAME)
    base = load_file(GOLDEN / 'live1plus' / 'llm' / 'model.safetensors')
    settings = json.loads((folder / 'adapter_config.json').read_text())
    scale = settings['lora_alpha'] / settings['r']
    model, _ = load_base(config_with(folder), torch.device('cpu'), torch.float32)
    model.connector = make_connector(48, 64)
    merged = merge_adapter(model, folder).state_dict()
    for name in ('model.layers.0.self_attn.q_proj', 'model.layers.2.mlp.down_proj', 'lm_head'):
        a, b = (tensors[f'{PREFIX}{name}.lora_{side}.weight'] for side in 'AB')
        wanted = base[f'{name}.weight'] + scale * b @ a
        torch.testing.assert_close(merged[f'{name}.weight'], wanted)
    for name in ('0.weight', '0.bias', '2.weight', '2.bias'):
        assert torch.equal(merged[f'connector.{name}'], tensors[f'{PREFIX}connector.{name}'])


@pytest.mark.parametrize(
    'rename',
    [
        lambda name: name,
        lambda name: name.replace('connector.', 'connector.modules_to_save.default.'),
        lambda name: name.replace('connector.', 'connector.modules_to_save.'),
        lambda name: name.replace('.weight', '.default.weight') if 'lora_' in name else name,
    ],
    ids=['published', 'modules_to_save.default', 'modules_to_save', 'lora.default'],
)
@pytest.mark.parametrize('with_head', [True, False])
def test_every_way_of_naming_loads_the_same(live1plus, adapter, rename, with_head):
    folder, tensors = adapter
    if not with_head:
        del tensors[f'{PREFIX}lm_head.base_layer.weight']
    save_file({rename(name): tensor for name, tensor in tensors.items()}, folder / NAME)
    vlo = load_model(config_with(folder))
    assert torch.equal(frame_logits(vlo), frame_logits(live1plus.vlo))
    features = torch.randn(10, 48)
    assert torch.equal(vlo.connector(features), live1plus.vlo.connector(features))


def refuse(folder, match, **changes):
    """The adapter is refused in one line that names its folder."""
    with pytest.raises(CheckpointError, match=match) as caught:
        load_model(config_with(folder, **changes))
    assert '\n' not in str(caught.value)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize(
    ('missing', 'match'),
    [
        ('connector.2.bias', r'no connector weights \(2\.bias is missing\)'),
        ('connector.0.weight', r'no connector weights \(0\.weight is missing\)'),
        ('model.layers.1.mlp.up_proj.lora_B.weight', r'1 of the weights .* are missing.*up_proj'),
        ('lm_head.lora_A.weight', r'1 of the weights .* are missing.*lm_head'),
    ],
)
def test_a_missing_tensor_is_never_made_up(adapter, missing, match):
    folder, tensors = adapter
    del tensors[PREFIX + missing]
    save_file(tensors, folder / NAME)
    refuse(folder, match)


def test_an_adapter_of_a_smaller_base_is_refused(adapter):
    """Its layers all fit; those it has nothing for are what tells."""
    folder, tensors = adapter
    few = {name: tensor for name, tensor in tensors.items() if '.layers.2.' not in name}
    save_file(few, folder / NAME)
    refuse(folder, 'of the weights that adapt this base model are missing')


def test_an_adapter_of_a_larger_base_is_refused(adapter):
    folder, tensors = adapter
    more = {name.replace('.layers.2.', '.layers.7.'): t.clone() for name, t in tensors.items()}
    save_file({**tensors, **more}, folder / NAME)
    refuse(folder, r'made for another base model: model\.layers\.7')


def test_an_adapter_of_another_width_is_refused(adapter):
    folder, tensors = adapter
    name = f'{PREFIX}model.layers.0.self_attn.q_proj.lora_A.weight'
    tensors[name] = torch.zeros(8, 128)
    save_file(tensors, folder / NAME)
    refuse(folder, r'q_proj has size \[128\] there, \[64\] here')


def test_an_adapter_of_another_vocabulary_is_refused(adapter):
    folder, tensors = adapter
    name = f'{PREFIX}lm_head.base_layer.weight'
    tensors[name] = torch.zeros(700, 64)
    save_file(tensors, folder / NAME)
    refuse(folder, r'lm_head.* has size \[700, 64\] there, \[689, 64\] here')


def test_an_adapter_of_a_base_with_other_weights_is_refused(adapter):
    """Instruct against base, say: every shape fits, the frozen head tells them apart."""
    folder, tensors = adapter
    name = f'{PREFIX}lm_head.base_layer.weight'
    tensors[name] = torch.randn_like(tensors[name]) * tensors[name].std()
    save_file(tensors, folder / NAME)
    refuse(folder, 'lm_head.* has other weights there than here')


def test_an_adapter_saved_in_half_precision_is_taken(adapter):
    folder, tensors = adapter
    save_file({name: tensor.bfloat16() for name, tensor in tensors.items()}, folder / NAME)
    load_model(config_with(folder))


def test_a_connector_of_another_tower_is_refused(adapter):
    folder, tensors = adapter
    tensors[f'{PREFIX}connector.0.weight'] = torch.zeros(64, 1024)
    save_file(tensors, folder / NAME)
    refuse(folder, r'another vision tower or base model: 0\.weight has shape \[64, 1024\]')


def test_a_damaged_adapter_is_refused(adapter):
    folder, _ = adapter
    whole = (folder / NAME).read_bytes()
    for damaged in (whole[: len(whole) // 2], b'', b'\x00' * 100, b'<html>not found</html>'):
        (folder / NAME).write_bytes(damaged)
        refuse(folder, 'damaged')


def test_a_pickle_is_never_read(adapter):
    folder, _ = adapter
    (folder / NAME).unlink()
    refuse(folder, f'{NAME} is missing$')
    (folder / 'adapter_model.bin').write_bytes(pickle.dumps(PickleBomb()))
    refuse(folder, 'adapter_model.bin is a pickle and is not read')


@pytest.mark.parametrize('content', ['', '{', '[]', '{}', '{"peft_type": "NONE"}'])
def test_a_damaged_adapter_config_is_refused(adapter, content):
    folder, _ = adapter
    (folder / 'adapter_config.json').write_text(content)
    refuse(folder, 'model.adapter')


def test_an_adapter_without_config_is_refused(adapter):
    folder, _ = adapter
    (folder / 'adapter_config.json').unlink()
    refuse(folder, 'model.adapter')


def test_a_head_tied_to_the_embedding_is_adapted_alone(tmp_path):
    """Merging LoRA into a shared matrix would change what every word is read as."""
    folders = make_model_folders(tmp_path, 'qwen2')
    del folders['connector']
    plain = AutoModelForCausalLM.from_pretrained(folders['llm'])
    assert plain.lm_head.weight is plain.model.embed_tokens.weight
    plain.connector = make_connector(32, SIZES['hidden_size'])
    settings = LoraConfig(
        r=4, target_modules=LORA_TARGETS, modules_to_save=['connector'], init_lora_weights=False
    )
    with pytest.warns(UserWarning, match='tie_word_embeddings=True'):
        adapted = get_peft_model(plain, settings).eval()
    adapted.save_pretrained(tmp_path / 'adapter', save_embedding_layers=False)
    vlo = load_model(ModelConfig(**folders, adapter=str(tmp_path / 'adapter')))
    ids = vlo.template.encode('You pour water into the kettle.')
    with torch.inference_mode():
        wanted = adapted(input_ids=torch.tensor([ids])).logits[0]
    torch.testing.assert_close(frame_logits(vlo), wanted, atol=1e-4, rtol=1e-4)
