# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What flows along the line: frames and queries in, decisions and responses out.

Times are integer nanoseconds of the camera's header stamp. Nothing here reads a clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

NS_PER_S = 1_000_000_000


class Verdict(Enum):
    """What the model decides after a frame."""

    SILENT = 'silent'
    RESPOND = 'respond'
    QUERY = 'query'  # not judged: it was asked at this frame, or the standing instruction follows


class Trigger(Enum):
    """What made a response start."""

    PROACTIVE = 'stream'
    QUERY = 'query'


class Finish(Enum):
    """How a response ended."""

    EOS = 'eos'
    LENGTH = 'length'
    CANCELLED = 'cancelled'


@dataclass(frozen=True)
class Frame:
    """One camera image that the sampler wants.

    Attributes:
        stamp_ns: Capture time, ns.
        index: Counts the wanted frames of a stream from 0.
        image_HWC: uint8 RGB of any size; the vision tower letterboxes it.
    """

    stamp_ns: int
    index: int
    image_HWC: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class FrameTokens:
    """One encoded frame.

    Attributes:
        stamp_ns: Capture time, ns.
        index: As in Frame.
        tokens_FD: F frame tokens in the language model's space.
    """

    stamp_ns: int
    index: int
    tokens_FD: torch.Tensor


@dataclass(frozen=True)
class Query:
    """What a person asks at `stamp_ns`; the core never answers an empty text."""

    stamp_ns: int
    text: str
    query_id: str = ''


Event: TypeAlias = FrameTokens | Query


@dataclass(frozen=True)
class Decision:
    """The verdict on one frame.

    Attributes:
        stamp_ns: The frame's capture time.
        index: As in Frame.
        p_silence: p(interval) after the frame; with verdict QUERY nothing was decided by it.
        verdict: What follows.
        threshold: Silence threshold that held for the frame.
        query: The query that is answered next, if any.
    """

    stamp_ns: int
    index: int
    p_silence: float | None
    verdict: Verdict
    threshold: float
    query: Query | None = None

    @property
    def speaks(self) -> bool:
        """Whether a response follows."""
        return self.verdict is Verdict.RESPOND or self.query is not None


@dataclass(frozen=True)
class Partial:
    """A response while it is decoded: its text so far; the rest as in Response."""

    stamp_ns: int
    frame_stamp_ns: int
    trigger: Trigger
    query: Query | None
    text: str
    num_tokens: int
    p_silence: float | None = None


@dataclass(frozen=True)
class Response:
    """One finished response.

    Attributes:
        stamp_ns: Stamp of the deciding frame, or of the query.
        frame_stamp_ns: Stamp of the newest frame the model had seen when it began.
        trigger: Why it was said.
        query: The query it answers, if any.
        text: Decoded text; begins with a space, as the published template has it.
        token_ids: Every generated id, the end-of-turn token included when it was generated.
        finish: How it ended.
        p_silence: p(interval) that made a proactive response start.
    """

    stamp_ns: int
    frame_stamp_ns: int
    trigger: Trigger
    query: Query | None
    text: str
    token_ids: tuple[int, ...]
    finish: Finish
    p_silence: float | None = None


Outcome: TypeAlias = Decision | Partial | Response


def seconds(stamp_ns: int) -> float:
    """Stamp in seconds, for people and JSON."""
    return stamp_ns / NS_PER_S
