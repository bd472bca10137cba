# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images to frame features."""

import numpy as np
import pytest
import torch
from transformers import CLIPVisionModel, SiglipVisionModel

from tests.tiny_models import make_tower
from vlo_ros.checkpoint import load_tower
from vlo_ros.config import ModelConfig
from vlo_ros.errors import CheckpointError
from vlo_ros.vision import TOWERS, VisionTower, letterbox, pool_patches, tower_kind_of

CPU = torch.device('cpu')


@pytest.fixture(scope='module', params=['siglip', 'clip'])
def folder(request, tmp_path_factory):
    root = tmp_path_factory.mktemp(request.param)
    make_tower(request.param, root)
    return root


def some_images(count=3, size=32):
    torch.manual_seed(3)
    return torch.randint(256, (count, 3, size, size), dtype=torch.uint8)


def test_features_are_cls_then_pooled_patches(folder):
    """Against the tower's own outputs: CLIP's class token is the CLS and no patch."""
    is_clip = 'clip' in folder.name
    model_class = CLIPVisionModel if is_clip else SiglipVisionModel
    plain = model_class.from_pretrained(folder).eval()
    images = some_images()
    kind = TOWERS['clip' if is_clip else 'siglip']
    mean, std = torch.tensor(kind.mean_C), torch.tensor(kind.std_C)
    pixels = (images / 255 - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    with torch.no_grad():
        output = plain(pixel_values=pixels)
    patches = output.last_hidden_state[:, 1:] if is_clip else output.last_hidden_state
    assert patches.shape[1] == 16
    # 4 x 4 patches into 3 x 3 bins that overlap: the centre is the mean of the middle four.
    square = patches.unflatten(1, (4, 4))
    corner, centre = square[:, :2, :2].mean((1, 2)), square[:, 1:3, 1:3].mean((1, 2))
    tower = load_tower(ModelConfig(vision=str(folder)), CPU, torch.float32)
    features = tower.encode(images)
    assert features.shape == (3, 10, 32)
    assert tower.frame_num_tokens == 10
    torch.testing.assert_close(features[:, 0], output.pooler_output, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(features[:, 1], corner, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(features[:, 5], centre, atol=1e-5, rtol=1e-5)
    alone = load_tower(ModelConfig(vision=str(folder), variant='live1'), CPU, torch.float32)
    assert alone.frame_num_tokens == 1
    torch.testing.assert_close(alone.encode(images), features[:, :1])


def test_a_batch_gives_what_its_images_give_alone(folder):
    tower = load_tower(ModelConfig(vision=str(folder)), CPU, torch.float32)
    images = some_images(5)
    alone = torch.cat([tower.encode(image[None]) for image in images])
    torch.testing.assert_close(tower.encode(images), alone, atol=1e-5, rtol=1e-5)


def test_the_wrong_resolution_is_named(folder):
    tower = load_tower(ModelConfig(vision=str(folder)), CPU, torch.float32)
    with pytest.raises(ValueError, match=r'\(3, 16, 16\): the vision tower takes \(3, 32, 32\)'):
        tower.encode(some_images(size=16))


def test_a_tower_is_frozen(folder):
    tower = load_tower(ModelConfig(vision=str(folder)), CPU, torch.float32)
    assert isinstance(tower, VisionTower)
    assert not any(parameter.requires_grad for parameter in tower.model.parameters())


@pytest.mark.parametrize('grid', [(3, 3), (2, 4)])
@pytest.mark.parametrize('side', [3, 4, 7, 24])
def test_pooled_patches_run_row_by_row(side, grid):
    rows = torch.arange(side * side, dtype=torch.float32).view(1, -1, 1)
    pooled = pool_patches(rows, grid)[0, :, 0]
    assert pooled.shape == (grid[0] * grid[1],)
    assert torch.equal(pooled, pooled.sort().values)
    assert pooled.mean() == pytest.approx((side * side - 1) / 2)


def test_an_unknown_tower_is_refused_with_those_known():
    with pytest.raises(CheckpointError, match="'resnet' is not supported; known: siglip, clip"):
        tower_kind_of('resnet')


# -- letterbox ------------------------------------------------------------------------------


def test_a_square_image_of_the_right_size_is_left_alone():
    image = np.random.default_rng(0).integers(256, size=(32, 32, 3), dtype=np.uint8)
    assert np.array_equal(letterbox(image, 32).permute(1, 2, 0).numpy(), image)


@pytest.mark.parametrize(
    ('height', 'width', 'new'),
    [
        (480, 640, (24, 32)),
        (640, 480, (32, 24)),
        (100, 100, (32, 32)),
        (9, 16, (18, 32)),
        (1, 1000, (2, 32)),
        (1000, 1, (32, 2)),
        (32, 29, (32, 28)),
        (1, 1, (32, 32)),
    ],
)
def test_the_long_side_fills_and_the_rest_is_black(height, width, new):
    image = np.full((height, width, 3), 200, dtype=np.uint8)
    square = letterbox(image, 32)
    assert square.shape == (3, 32, 32)
    assert square.dtype == torch.uint8
    top, left = (32 - new[0]) // 4 * 2, (32 - new[1]) // 4 * 2
    inside = square[:, top : top + new[0], left : left + new[1]]
    assert (inside == 200).all()
    assert int((square > 0).sum()) == inside.numel()


def test_images_as_messages_hold_them_are_taken(folder):
    """Read-only, padded rows, upside down: no copy is asked of who has the image."""
    tower = load_tower(ModelConfig(vision=str(folder)), CPU, torch.float32)
    buffer = bytes(range(96)) * 40 + bytes(40 * 4)
    read_only = np.frombuffer(buffer[: 40 * 96], dtype=np.uint8).reshape(40, 32, 3)
    padded = np.frombuffer(buffer, dtype=np.uint8).reshape(40, 100)[:, :96].reshape(40, 32, 3)
    square = np.frombuffer(buffer[: 32 * 96], dtype=np.uint8).reshape(32, 32, 3)
    images = [read_only, padded, padded[::-1], square]
    pixels = tower.load_pixels(images)
    assert pixels.shape == (4, 3, 32, 32)
    assert torch.equal(pixels, tower.load_pixels([image.copy() for image in images]))
    assert torch.equal(pixels[3], torch.from_numpy(square.copy()).permute(2, 0, 1))
