# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The published data sets, built from their annotation files: one module per data set.

    samples = build('ego4d_narration_stream', root='.', split='train')
    conversation, load_ranges = samples[0].load(random.Random(0), max_num_frames=1200)

Reads annotations only. Knows nothing of tokenizers, feature tensors or models: a sample says which
frames of which feature file to load and what is said between them.
"""

from training.datasets.annotations import DatasetError
from training.datasets.registry import DATASETS, Dataset, build
from training.datasets.sample import BuildOptions, Message, Sample, teaches

__all__ = [
    'DATASETS',
    'BuildOptions',
    'Dataset',
    'DatasetError',
    'Message',
    'Sample',
    'build',
    'teaches',
]
