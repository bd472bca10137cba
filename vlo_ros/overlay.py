# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the model is thinking, drawn over the picture: the caption, the silence bar, the latency.

One drawing for the node's overlay topic, annotated bags and the web page. Knows nothing of ROS.

Shapes: H height, W width, C colour channels (RGB).
"""

from __future__ import annotations

import math
import textwrap
import unicodedata
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

# A smaller picture is enlarged by a whole factor until it is this wide: text needs pixels. But
# not beyond this height: nobody films in ribbons.
LEAST_WIDTH = 480
MOST_HEIGHT = 1080
MAX_LINES = 3
CAPTION_S = 5.0  # a caption stays in the picture this long
SAMPLE = 'What a line of some words is wide: MAW 0123'
FONT = cv2.FONT_HERSHEY_SIMPLEX
WHITE, GREY, CYAN, BLUE, ORANGE = (
    (255, 255, 255),
    (170, 170, 170),
    (120, 220, 235),
    (86, 156, 230),
    (255, 160, 60),
)


@dataclass(frozen=True)
class Overlay:
    """What is drawn on one frame.

    Attributes:
        caption: The newest response, '' for none.
        query: The query that it answers, '' for none.
        p_silence: p(interval) after the frame, 0..1; None or nan where nothing was decided.
        silence_threshold: The mark on the bar, 0..1; None leaves it out.
        latency_s: Capture to decision in seconds; None or nan leaves it out.
        is_speaking: Whether the model speaks at this frame.
    """

    caption: str = ''
    query: str = ''
    p_silence: float | None = None
    silence_threshold: float | None = None
    latency_s: float | None = None
    is_speaking: bool = False


def draw_overlay(image_HWC: npt.NDArray[np.uint8], overlay: Overlay) -> npt.NDArray[np.uint8]:
    """Draw `overlay` on a copy of an RGB image.

    Args:
        image_HWC: uint8 RGB of any size.
        overlay: What to draw.

    Returns:
        uint8 RGB; of the same size, or a whole multiple of it where that was too small for text.
    """
    height, width = image_HWC.shape[:2]
    factor = max(1, min(math.ceil(LEAST_WIDTH / width), MOST_HEIGHT // height))
    canvas = np.repeat(np.repeat(image_HWC, factor, axis=0), factor, axis=1).copy()
    scale = canvas.shape[1] / 900 + 0.1
    _draw_silence(canvas, overlay, scale)
    _draw_caption(canvas, overlay, scale)
    return canvas


def _draw_silence(canvas: npt.NDArray[np.uint8], overlay: Overlay, scale: float) -> None:
    """Draw bar, threshold mark and latency in the top left corner."""
    p_silence, latency_s = _known(overlay.p_silence), _known(overlay.latency_s)
    if p_silence is None and latency_s is None:
        return
    margin, bar_width, bar_height = round(14 * scale), round(240 * scale), round(14 * scale)
    line = round(32 * scale)
    _darken(canvas, 0, 0, bar_width + 2 * margin, 2 * margin + line + bar_height)
    words = []
    if p_silence is not None:
        words.append(f'silence {p_silence:.2f}')
    if latency_s is not None:
        words.append(f'{latency_s:.1f} s' if abs(latency_s) >= 1 else f'{1000 * latency_s:.0f} ms')
    left, baseline = margin, margin + round(18 * scale)
    _write(canvas, '   '.join(words), (left, baseline), 0.62 * scale, WHITE)
    if p_silence is None:
        return
    top = margin + line
    corner = (left + bar_width, top + bar_height)
    cv2.rectangle(canvas, (left, top), corner, GREY, 1)
    filled = left + round(bar_width * min(max(p_silence, 0.0), 1.0))
    colour = ORANGE if overlay.is_speaking else BLUE
    cv2.rectangle(canvas, (left, top), (filled, corner[1]), colour, cv2.FILLED)
    if overlay.silence_threshold is not None and overlay.silence_threshold <= 1:
        mark = left + round(bar_width * overlay.silence_threshold)
        reach = round(4 * scale)
        thickness = max(1, round(2 * scale))
        cv2.line(canvas, (mark, top - reach), (mark, corner[1] + reach), WHITE, thickness)


def _draw_caption(canvas: npt.NDArray[np.uint8], overlay: Overlay, scale: float) -> None:
    """Draw query and caption in a band at the bottom; what does not fit ends in dots."""
    height, width = canvas.shape[:2]
    margin = round(16 * scale)
    size = 0.85 * scale
    (sample_width, letter_height), _ = cv2.getTextSize(SAMPLE, FONT, size, 1)
    columns = max(8, int(len(SAMPLE) * (width - 2 * margin) / sample_width))
    lines = [
        (line, colour)
        for text, colour in ((overlay.query, CYAN), (overlay.caption, WHITE))
        for line in _wrap(text, columns)
    ]
    if not lines:
        return
    pitch = round(1.9 * letter_height)
    top = max(0, height - 2 * margin - pitch * len(lines))
    _darken(canvas, 0, top, width, height)
    for number, (line, colour) in enumerate(lines):
        baseline = top + margin + pitch * number + round(1.2 * letter_height)
        _write(canvas, line, (margin, baseline), size, colour)


def _wrap(text: str, columns: int) -> list[str]:
    return textwrap.wrap(_drawable(text), columns, max_lines=MAX_LINES, placeholder=' ...')


def _drawable(text: str) -> str:
    """The font knows ASCII: accents are dropped, what is left over becomes a question mark."""
    plain = unicodedata.normalize('NFKD', text)
    kept = ''.join(letter for letter in plain if not unicodedata.combining(letter))
    return ' '.join(kept.encode('ascii', 'replace').decode().split())


def _darken(canvas: npt.NDArray[np.uint8], left: int, top: int, right: int, bottom: int) -> None:
    region = canvas[top:bottom, left:right]
    region[:] = region // 3


def _write(
    canvas: npt.NDArray[np.uint8],
    text: str,
    origin: tuple[int, int],
    size: float,
    colour: tuple[int, int, int],
) -> None:
    thickness = max(1, round(1.6 * size))
    cv2.putText(canvas, text, origin, FONT, size, colour, thickness, cv2.LINE_AA)


def _known(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value
