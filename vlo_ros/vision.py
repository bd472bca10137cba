# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Vision towers: images -> one CLS vector and P patch vectors each; TOWERS has one entry each.

letterbox -> normalise -> tower -> CLS + 3x3 pooled patches = frame features
"""

# Shapes: N frames, C channels, S tower resolution, P patches, F tokens per frame, V vision dim.
from __future__ import annotations

import math
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional
from transformers import CLIPVisionModel, SiglipVisionModel

from vlo_ros.errors import CheckpointError

CPU = torch.device('cpu')


@dataclass(frozen=True)
class TowerKind:
    """What differs between vision towers.

    Attributes:
        model_class: transformers class that reads the weights.
        mean_C: Per-channel mean subtracted after scaling to 0..1.
        std_C: Per-channel divisor.
        has_class_token: Whether the first output vector is a class token and not a patch.
    """

    model_class: Any
    mean_C: tuple[float, float, float]
    std_C: tuple[float, float, float]
    has_class_token: bool


# Key: `model_type` of the tower's config.json. CLIP's constants: Radford et al. 2021.
TOWERS = {
    'siglip': TowerKind(SiglipVisionModel, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), False),
    'clip': TowerKind(
        CLIPVisionModel,
        (0.48145466, 0.4578275, 0.40821073),
        (0.26862954, 0.26130258, 0.27577711),
        True,
    ),
}
TOWERS['siglip_vision_model'] = TOWERS['siglip']
TOWERS['clip_vision_model'] = TOWERS['clip']


def letterbox(
    image_HWC: npt.NDArray[np.uint8], size: int, device: torch.device = CPU
) -> torch.Tensor:
    """Fit an RGB image into a black square: uint8 (H, W, 3) -> uint8 (3, S, S) on `device`.

    As the published preparation: the long side becomes S, the other keeps the ratio rounded to an
    even number, bicubic, centred; the bars begin at even rows and columns. A square image of the
    right size is returned as it is. A GPU resizes in float: values may differ by 1 from the CPU.
    """
    # A message's pixels are read-only, which torch only takes with a warning.
    writable_HWC = np.require(image_HWC, requirements=('C', 'W'))
    image_CHW = _upload(torch.from_numpy(writable_HWC), device).permute(2, 0, 1)
    height, width = image_CHW.shape[1:]
    if height == width == size:
        return image_CHW.contiguous()
    scale = size / max(height, width)
    new_height = size if height >= width else _even(height * scale, size)
    new_width = size if width > height else _even(width * scale, size)
    if height == width:
        new_width = size
    if image_CHW.is_cuda:
        image_CHW = image_CHW.float()
    resized_CHW = functional.interpolate(
        image_CHW[None], (new_height, new_width), mode='bicubic', antialias=True
    )[0]
    if resized_CHW.is_cuda:
        resized_CHW = resized_CHW.round().clamp(0, 255)
    square_CSS = torch.zeros(3, size, size, dtype=torch.uint8, device=device)
    # FFmpeg pads pictures whose colour has half the resolution: an odd offset is rounded down.
    top, left = (size - new_height) // 4 * 2, (size - new_width) // 4 * 2
    square_CSS[:, top : top + new_height, left : left + new_width] = resized_CHW
    return square_CSS


def _upload(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Copy to `device`, through pinned memory where that lets the host go on."""
    if device.type != 'cuda' or tensor.is_cuda:
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def _even(length: float, size: int) -> int:
    return min(size, max(2, 2 * round(length / 2)))


class VisionTower:
    """A frozen vision tower; holds weights only."""

    def __init__(
        self,
        model: nn.Module,
        kind: TowerKind,
        use_patches: bool,
        use_cls: bool = True,
        grid: tuple[int, int] = (3, 3),
    ) -> None:
        """Wrap `model`; `use_cls` and `use_patches` choose what a frame contributes."""
        self.model = model.eval().requires_grad_(False)
        self.kind = kind
        self.use_cls = use_cls
        self.use_patches = use_patches
        self.grid = grid
        config: Any = model.config
        self.resolution: int = config.image_size
        self.dim: int = config.hidden_size
        self.frame_num_tokens = int(use_cls) + use_patches * grid[0] * grid[1]
        parameter = next(model.parameters())
        self.device, self.dtype = parameter.device, parameter.dtype
        self._mean_C11 = torch.tensor(kind.mean_C, device=self.device).view(3, 1, 1)
        self._std_C11 = torch.tensor(kind.std_C, device=self.device).view(3, 1, 1)
        self._stream: torch.cuda.Stream | None = None
        if self.device.type == 'cuda':
            self._stream = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        self._loaded: weakref.ref[torch.Tensor] | None = None

    @contextmanager
    def own_stream(self) -> Iterator[None]:
        """Let what follows run on the tower's own CUDA stream, beside the language model.

        At the end the calling thread waits until it is done. On the CPU nothing is different.
        """
        if self._stream is None:
            yield
            return
        with torch.cuda.stream(self._stream):
            yield
        self._stream.synchronize()

    def load_pixels(self, images: Sequence[npt.NDArray[np.uint8]]) -> torch.Tensor:
        """Letterbox RGB images of any size: N x (H, W, 3) -> uint8 (N, 3, S, S)."""
        with self.own_stream():
            pixels_NCSS = torch.stack(
                [letterbox(image, self.resolution, self.device) for image in images]
            )
        self._loaded = weakref.ref(pixels_NCSS)
        return pixels_NCSS

    @torch.inference_mode()
    def encode(self, images_NCSS: torch.Tensor) -> torch.Tensor:
        """Frame features of square uint8 images: (N, 3, S, S) -> (N, F, V).

        Order along F: CLS, then the pooled patches row by row.

        Raises:
            ValueError: The images are not of the tower's resolution.
        """
        if images_NCSS.shape[1:] != (3, self.resolution, self.resolution):
            raise ValueError(
                f'images of shape {tuple(images_NCSS.shape[1:])}: the vision tower takes '
                f'(3, {self.resolution}, {self.resolution})'
            )
        loaded = self._loaded
        # Pixels just loaded are there; others are waited for, and with them the language model.
        is_there = loaded is not None and loaded() is images_NCSS
        if self._stream is not None and images_NCSS.is_cuda and not is_there:
            self._stream.wait_stream(torch.cuda.current_stream())
        with self.own_stream():
            return self._encode(_upload(images_NCSS, self.device))

    def _encode(self, images_NCSS: torch.Tensor) -> torch.Tensor:
        pixels_NCSS = images_NCSS.float() * (1 / 255)
        pixels_NCSS = (pixels_NCSS - self._mean_C11) / self._std_C11
        output = self.model(pixel_values=pixels_NCSS.to(self.dtype))
        patches_NPV = output.last_hidden_state
        if self.kind.has_class_token:
            patches_NPV = patches_NPV[:, 1:]
        parts = [output.pooler_output[:, None]] if self.use_cls else []
        if self.use_patches:
            parts.append(pool_patches(patches_NPV, self.grid))
        return torch.cat(parts, dim=1)


def pool_patches(patches_NPV: torch.Tensor, grid: tuple[int, int]) -> torch.Tensor:
    """Average a square of patches into a coarser grid: (N, P, V) -> (N, rows * columns, V)."""
    side = math.isqrt(patches_NPV.shape[1])
    square_NVss = patches_NPV.transpose(1, 2).reshape(len(patches_NPV), -1, side, side)
    pooled = functional.adaptive_avg_pool2d(square_NVss, grid)
    return pooled.flatten(2).transpose(1, 2)


def tower_kind_of(model_type: str) -> TowerKind:
    """Return the tower kind for a config's `model_type`.

    Raises:
        CheckpointError: No entry for it.
    """
    if model_type not in TOWERS:
        raise CheckpointError(
            f'vision tower of type {model_type!r} is not supported; known: {", ".join(TOWERS)}'
        )
    return TOWERS[model_type]
