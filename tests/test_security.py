# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What SECURITY.md says of files from elsewhere: nothing in them is ever run."""

import ast
import builtins
import contextlib
import json
import os
import pickle
import re
from pathlib import Path

import pytest
import torch

from tests.live import GOLDEN
from tests.tiny_models import make_model_folders
from training.features import FeatureError, FeatureStore
from training.preprocess.feature_file import read_header
from training.rendered_world.tower import TowerShape
from training.rendered_world.train_tower import TowerTraining, train
from vlo_ros import checkpoint, model_files
from vlo_ros.checkpoint import load_model
from vlo_ros.config import ModelConfig, VloConfig
from vlo_ros.errors import CheckpointError
from vlo_ros.footprint import measure

ROOT = Path(__file__).resolve().parents[1]
SOURCES = [
    path
    for folder in ('vlo_ros', 'training', 'bench', 'cmake', 'launch')
    for path in sorted((ROOT / folder).rglob('*.py'))
]


# -- the source ------------------------------------------------------------------------------

# Calls that run what they read.
FORBIDDEN = re.compile(
    r'eval|exec|os\.system|(pickle|marshal)\.loads?|(pickle\.)?Unpickler|shelve\.open'
    r'|yaml\.(load|load_all|unsafe_load|full_load)|joblib\.load'
)
FROM_FOLDER = re.compile(r'(?!PeftModel\.).*\.from_(pretrained|config)')


def dangers(path):
    """Each call in a file that could run what it reads, as `line: source`."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        if (
            FORBIDDEN.fullmatch(name)
            or (name == 'torch.load' and given.get('weights_only') != 'True')
            # Left out, transformers asks on the terminal, and runs it after a y.
            or (FROM_FOLDER.fullmatch(name) and given.get('trust_remote_code') != 'False')
            or given.get('trust_remote_code', 'False') != 'False'
            or given.get('allow_pickle', 'False') != 'False'
            or given.get('shell', 'False') != 'False'
        ):
            found.append(f'{node.lineno}: {ast.unparse(node)}')
    return found


@pytest.mark.parametrize('path', SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_runs_what_it_reads(path):
    assert dangers(path) == []


@pytest.mark.parametrize(
    'line',
    [
        'torch.load(path)',
        'torch.load(path, weights_only=False)',
        'torch.load(path, weights_only=flag)',
        'pickle.load(file)',
        'x = [pickle.loads(b) for b in c]',
        'pickle.Unpickler(file).load()',
        'np.load(path, allow_pickle=True)',
        'AutoConfig.from_pretrained(folder)',
        'AutoModel.from_config(config, trust_remote_code=True)',
        'model_class.from_pretrained(folder, trust_remote_code=trust)',
        'load_dataset(name, trust_remote_code=True)',
        'yaml.load(text, Loader)',
        'subprocess.run(line, shell=True)',
        'eval(text)',
    ],
)
def test_the_check_itself_sees_each_danger(line, tmp_path):
    path = tmp_path / 'module.py'
    path.write_text(f'def f():\n    {line}\n')
    assert len(dangers(path)) == 1


def test_the_check_lets_the_rest_pass(tmp_path):
    path = tmp_path / 'module.py'
    path.write_text(
        'torch.load(path, weights_only=True)\nmodel.eval()\nnp.load(path)\nyaml.safe_load(text)\n'
        'AutoConfig.from_pretrained(folder, trust_remote_code=False)\n'
        'PeftModel.from_pretrained(model, folder)\nexcept_ = pickle.UnpicklingError\n'
    )
    assert dangers(path) == []


# -- pickles ---------------------------------------------------------------------------------


class Bomb:
    """Unpickled, it makes a folder."""

    def __init__(self, crater):
        self.crater = str(crater)

    def __reduce__(self):
        return (os.mkdir, (self.crater,))


LAYOUTS = {
    'a bomb': lambda bomb, path: torch.save(bomb, path),
    'among tensors': lambda bomb, path: torch.save({'f': torch.ones(2, 3, 4), 'b': bomb}, path),
    'the old layout': lambda bomb, path: torch.save(
        bomb, path, _use_new_zipfile_serialization=False
    ),
    'a plain pickle': lambda bomb, path: path.write_bytes(pickle.dumps(bomb)),
}


@pytest.fixture(params=LAYOUTS)
def bombs(request, tmp_path):
    """A function that lays a bomb at a path, and the folder it would make."""
    crater = tmp_path / 'crater'
    return lambda path: LAYOUTS[request.param](Bomb(crater), path), crater


def test_the_bomb_would_go_off(bombs, tmp_path):
    lay, crater = bombs
    lay(tmp_path / 'video.pt')
    with contextlib.suppress(RuntimeError):  # a plain pickle is run, then found to be no tensor
        torch.load(tmp_path / 'video.pt', weights_only=False)
    assert crater.is_dir()


@pytest.mark.parametrize('in_memory', [False, True])
def test_a_feature_file_is_never_run(bombs, tmp_path, in_memory):
    lay, crater = bombs
    lay(tmp_path / 'video.pt')
    store = FeatureStore([tmp_path], in_memory)
    for read in (lambda: store.load({'video.pt': (0, 1)}), lambda: store.load_all('video.pt')):
        with pytest.raises(FeatureError, match=r'video\.pt: damaged') as caught:
            read()
        assert '\n' not in str(caught.value)
    with pytest.raises(FeatureError, match=r'video\.pt: damaged'):
        read_header(tmp_path / 'video.pt')
    assert not crater.exists()


def test_a_checkpoint_of_the_tower_is_never_run(bombs, tmp_path):
    lay, crater = bombs
    lay(tmp_path / 'checkpoint.pt')
    with pytest.raises(Exception, match=r'(?i)weights.only'):
        train(TowerTraining(str(tmp_path), shape=TowerShape(48, 16, 32, 1, 1)))
    assert not crater.exists()


# -- code beside the weights -----------------------------------------------------------------

CODE = """import os
os.mkdir({crater!r})
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM, SiglipVisionConfig
class Config(LlamaConfig):
    model_type = 'strange'
class Model(LlamaForCausalLM):
    config_class = Config
Tokenizer = AutoTokenizer
def generate(*arguments, **options): pass
"""
AUTO_MAP = {
    'AutoConfig': 'code.Config',
    'AutoModel': 'code.Model',
    'AutoModelForCausalLM': 'code.Model',
    'AutoTokenizer': ['code.Tokenizer', None],
}


@pytest.fixture(scope='module')
def clean(tmp_path_factory):
    root = tmp_path_factory.mktemp('clean')
    make_model_folders(root, 'llama')
    return root


@pytest.fixture
def trapped(clean, tmp_path, monkeypatch):
    """A tiny model whose folders bring code along, and the folder that the code would make."""
    monkeypatch.setenv('HF_MODULES_CACHE', str(tmp_path / 'modules'))
    monkeypatch.setattr(builtins, 'input', lambda *line: pytest.fail('somebody was asked'))
    crater = tmp_path / 'crater'
    names = {'connector': str(clean / 'connector.safetensors'), 'device': 'cpu'}
    for setting in ('llm', 'vision'):
        folder = tmp_path / setting
        folder.mkdir()
        names[setting] = str(folder)
        for path in (clean / setting).iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
        for path in (folder / 'code.py', folder / 'custom_generate' / 'generate.py'):
            path.parent.mkdir(exist_ok=True)
            path.write_text(CODE.format(crater=str(crater)))
        for name in ('config.json', 'tokenizer_config.json'):
            change(folder / name, auto_map=AUTO_MAP)
    return ModelConfig(**names), crater


def change(path, **values):
    if path.exists():
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_code_that_comes_with_a_known_kind_of_model_is_left_alone(trapped):
    config, crater = trapped
    assert load_model(config).language.model.__class__.__module__.startswith('transformers.')
    assert measure(VloConfig(model=config)).missing() == []
    assert not crater.exists()


@pytest.mark.parametrize('setting', ['llm', 'vision'])
def test_a_model_that_is_nothing_without_its_code_is_refused(trapped, setting):
    config, crater = trapped
    change(Path(getattr(config, setting)) / 'config.json', model_type='strange')
    for attempt in (lambda: load_model(config), lambda: measure(VloConfig(model=config))):
        with pytest.raises(CheckpointError, match=rf'^model\.{setting} ') as caught:
            attempt()
        assert '\n' not in str(caught.value)
    assert not crater.exists()


def test_a_tokenizer_that_is_nothing_without_its_code_is_refused(trapped):
    config, crater = trapped
    change(Path(config.llm) / 'tokenizer_config.json', tokenizer_class='StrangeTokenizer')
    try:
        load_model(config)
    except CheckpointError as error:
        assert '\n' not in str(error)
    assert not crater.exists()


# -- revisions -------------------------------------------------------------------------------


@pytest.mark.parametrize('setting', ['llm', 'vision', 'adapter'])
def test_each_part_is_taken_at_its_own_revision(setting, monkeypatch):
    folders = {
        'llm': GOLDEN / 'live1plus' / 'llm',
        'vision': GOLDEN / 'live1plus' / 'vision',
        'adapter': GOLDEN / 'live1plus' / 'checkpoint',
    }
    asked = []

    def fetch(name, *, revision, allow_patterns, local_files_only=False):
        asked.append((name, revision))
        assert not any(pattern.endswith(('.py', '.bin', '.pt', '*')) for pattern in allow_patterns)
        return str(folders[setting])

    monkeypatch.setattr(checkpoint, 'snapshot_download', fetch)
    monkeypatch.setattr(model_files, 'snapshot_download', fetch)
    names = {name: str(folder) for name, folder in folders.items()}
    names[setting] = 'org/name'
    config = ModelConfig(**names, **{f'{setting}_revision': 'abc'}, device='cpu')
    load_model(config)
    measure(VloConfig(model=config))
    assert set(asked) == {('org/name', 'abc')}
    assert len(asked) >= 2
