# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Frame features to frame tokens."""

import torch
from torch.nn import functional

from vlo_ros.connector import make_connector


def test_it_is_two_layers_with_exact_gelu_between():
    connector = make_connector(6, 10)
    weights = connector.state_dict()
    assert {name: tuple(tensor.shape) for name, tensor in weights.items()} == {
        '0.weight': (10, 6),
        '0.bias': (10,),
        '2.weight': (10, 10),
        '2.bias': (10,),
    }
    features_NFV = torch.randn(3, 4, 6)
    hidden = functional.gelu(features_NFV @ weights['0.weight'].T + weights['0.bias'])
    wanted = hidden @ weights['2.weight'].T + weights['2.bias']
    torch.testing.assert_close(connector(features_NFV), wanted)
