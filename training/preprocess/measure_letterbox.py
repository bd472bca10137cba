# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How far our letterbox is from the published preparation, in dB, on a video's own pictures.

    python -m training.preprocess.measure_letterbox VIDEO... [--size 384] [--fps 2]

The published preparation runs FFmpeg's scale (bicubic) and pad filters and encodes the result
again as H.264; both are repeated here through PyAV, on the very pictures that our line samples.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from statistics import fmean
from typing import Any

import av
import numpy as np

from vlo_ros.sampling import Sampler
from vlo_ros.sources import open_source
from vlo_ros.vision import letterbox

FILTER_TIME_BASE = Fraction(1, 2)
Image = np.ndarray[Any, np.dtype[np.uint8]]


def published_letterbox(images: Sequence[Image], size: int) -> list[Any]:
    """FFmpeg's scale and pad as the published script calls them: (H, W, 3) -> S x S frames."""
    height, width = images[0].shape[:2]
    graph = av.filter.Graph()
    buffer = graph.add_buffer(
        width=width, height=height, format='yuv420p', time_base=FILTER_TIME_BASE
    )
    wide, tall = (str(size), '-2') if width > height else ('-2', str(size))
    scale = graph.add('scale', f'{wide}:{tall}:flags=bicubic')
    pad = graph.add('pad', f'{size}:{size}:(ow-iw)/2:(oh-ih)/2:color=#000000')
    sink = graph.add('buffersink')
    for left, right in ((buffer, scale), (scale, pad), (pad, sink)):
        left.link_to(right)
    graph.configure()
    found = []
    for number, image in enumerate(images):
        frame = av.VideoFrame.from_ndarray(image, format='rgb24').reformat(format='yuv420p')
        frame.pts, frame.time_base = number, FILTER_TIME_BASE
        graph.push(frame)
        found.append(graph.pull())
    return found


def encoded_again(frames: Sequence[Any], size: int) -> list[Image]:
    """H.264 with the encoder's defaults, and back: (S, S, 3) RGB each."""
    file = io.BytesIO()
    with av.open(file, 'w', format='mp4') as container:
        stream = container.add_stream('libx264', rate=2)
        stream.width = stream.height = size
        stream.pix_fmt = 'yuv420p'
        for frame in frames:
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    file.seek(0)
    with av.open(file) as container:
        return [frame.to_ndarray(format='rgb24') for frame in container.decode(video=0)]


def psnr(one: Image, other: Image) -> float:
    """Peak signal-to-noise ratio of two images in dB; equal ones have 100."""
    error = float(np.mean((one.astype(np.float64) - other.astype(np.float64)) ** 2))
    return 100.0 if error == 0 else 10 * np.log10(255**2 / error)


def measure(video: Path, size: int, fps: float) -> dict[str, float]:
    """Mean PSNR of ours to the filters alone, ours to the published file, filters to file."""
    images = [frame.image_HWC for frame in open_source(str(video)).frames(Sampler(fps))]
    ours = [letterbox(image, size).permute(1, 2, 0).numpy() for image in images]
    frames = published_letterbox(images, size)
    filtered = [frame.to_ndarray(format='rgb24') for frame in frames]
    encoded = encoded_again(frames, size)
    pairs = {
        'ours to filters': zip(ours, filtered, strict=True),
        'ours to published file': zip(ours, encoded, strict=True),
        'filters to published file': zip(filtered, encoded, strict=True),
    }
    return {
        'frames': len(images),
        **{name: fmean(psnr(*pair) for pair in found) for name, found in pairs.items()},
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('videos', type=Path, nargs='+')
    parser.add_argument('--size', type=int, default=384)
    parser.add_argument('--fps', type=float, default=2.0)
    args = parser.parse_args()
    for video in args.videos:
        found = measure(video, args.size, args.fps)
        print(video.name, ', '.join(f'{name} {value:.4g}' for name, value in found.items()))


if __name__ == '__main__':
    main()
