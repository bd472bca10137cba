# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is measured on one GPU: the sections of `bench.gpu`, each by itself."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from bench import machine
from bench.baseline import PublishedLoop
from bench.random_models import (
    DAY_FRAMES,
    LLAMA_8B,
    LLAMA_TINY,
    SIGLIP_LARGE,
    SIGLIP_TINY,
    TOKENS_PER_FRAME,
    add_lora,
    filling,
    judge,
    make_frames,
    make_llama,
    make_model,
    make_stream,
    speaking_at,
)
from vlo_ros.attention import Segment
from vlo_ros.batch import StreamBatch
from vlo_ros.checkpoint import VloModel
from vlo_ros.events import NS_PER_S, Frame, FrameTokens, Partial
from vlo_ros.quantization import quantize
from vlo_ros.stream import Stream

LORA_RANK = 128
FPS = 2.0
SENTENCE_TOKENS = 15
MEASURED_FRAMES = 15  # up to each of the frames at which both sides are compared
# cuDNN's attention, PyTorch's choice on an H100, plans anew for every length of a growing cache.
GROWING = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]


class GpuMeasurements:
    """The device, the shapes, and how each section is measured on them."""

    def __init__(self, tiny: bool) -> None:
        """Use the GPU and the real shapes, or any device and tiny ones."""
        self.device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
        self.dtype = torch.bfloat16
        self.llama, self.siglip = (LLAMA_TINY, SIGLIP_TINY) if tiny else (LLAMA_8B, SIGLIP_LARGE)
        window = self.llama.max_position_embeddings
        # Room for the sentence and the system prompt at the end.
        self.contexts = [window // 16, window // 2, window - 192]
        self.num_steps = 3 if tiny else 100
        self.replay_frames = 64 if tiny else 1200
        self.points = (20, 40, 60) if tiny else (100, 600, 1200)  # frames
        self.many = (2,) if tiny else (4, 16, 32)
        self._stream: Stream | None = None

    def make_model(self) -> VloModel:
        """The model of the real shapes, or the tiny one."""
        return make_model(make_llama(self.llama, self.dtype, self.device), self.siglip)

    def published(self) -> list[dict[str, Any]]:
        """The published schedule: step, encoding and sentence at each context."""
        loop, tokens_FD = self._published_loop(self.dtype)
        encoder = make_model(make_llama(LLAMA_TINY, self.dtype, self.device), self.siglip)
        rows, images = [], self._images(1)
        for context in self.contexts:
            loop.fill(context // TOKENS_PER_FRAME, TOKENS_PER_FRAME)
            encode = [self._seconds(lambda: encoder.encode(images)) for _ in range(10)]
            with sdpa_kernel(GROWING):
                for _ in range(3):
                    loop.judge(tokens_FD)
                judge = [self._seconds(lambda: loop.judge(tokens_FD)) for _ in range(20)]
                say = self._seconds(lambda: loop.say(1, SENTENCE_TOKENS))
            step, frame = (machine.percentiles(times)['p50_ms'] for times in (judge, encode))
            rows.append(
                {
                    'context': context,
                    'step_p50_ms': step,
                    'encode_ms': frame,
                    'fps': 1e3 / (step + frame),
                    'sentence_ms': say * 1e3,
                }
            )
        return rows

    def frames(self, dtype: torch.dtype) -> list[dict[str, Any]]:
        """Both sides near the same frames of a stream; chunks near the first of them."""
        rows = self._published_frames(dtype)
        self.release()
        model = make_model(make_llama(self.llama, dtype, self.device), self.siglip)
        for row in rows:
            stream, frames = self._at_frame(model, row['frame'] - MEASURED_FRAMES, '1')
            with speaking_at(()):
                seconds = [
                    self._seconds(partial(judge, stream, [frame]))
                    for frame in frames[:MEASURED_FRAMES]
                ]
            row['ours_ms'] = min(seconds) * 1e3
        seconds = []
        for _ in range(2):  # once to capture what shapes there are
            stream, frames = self._at_frame(model, max(1, self.points[0] - 32), 'auto')
            with speaking_at(()):
                seconds.append(self._seconds(partial(judge, stream, frames)))
        rows[0]['chunk_ms_per_frame'] = min(seconds) / len(frames) * 1e3
        return rows

    def _published_frames(self, dtype: torch.dtype) -> list[dict[str, Any]]:
        loop, tokens_FD = self._published_loop(dtype)
        rows = []
        for point in self.points:
            loop.fill(point - MEASURED_FRAMES, TOKENS_PER_FRAME)
            with sdpa_kernel(GROWING):
                seconds = [
                    self._seconds(lambda: loop.judge(tokens_FD)) for _ in range(MEASURED_FRAMES)
                ]
            rows.append({'frame': point, 'published_ms': min(seconds) * 1e3})
        return rows

    # -- ours ------------------------------------------------------------------------------

    def encoder(self, model: VloModel, compiled: bool) -> list[dict[str, Any]]:
        """Frames from host memory to frame tokens."""
        rows = []
        for how in ('eager', 'compiled') if compiled else ('eager',):
            if how == 'compiled':
                model.tower.model = torch.compile(model.tower.model)
            for count in (1, 8, 32):
                images = self._images(count)
                for _ in range(3):
                    model.encode(images)
                seconds = min(self._seconds(lambda images=images: model.encode(images))
                              for _ in range(10))  # fmt: skip
                row = {'how': how, 'batch': count, 'ms': seconds * 1e3, 'fps': count / seconds}
                row['gflop_per_s'] = self._image_flop() * count / seconds / 1e9
                rows.append(row)
        return rows

    def live(self, model: VloModel) -> list[dict[str, Any]]:
        """One frame after the other at each context; then frames that make it speak."""
        rows = []
        for context in self.contexts:
            seconds = self._steps(model, context)
            row = {'context': context, **machine.percentiles(seconds), 'fps': 1 / min(seconds)}
            row |= self._spoken(model, context)
            traffic = self._weight_bytes(model) + self._cache_bytes(model, context)
            row['gb_per_s'] = traffic / min(seconds) / 1e9
            row['gflop_per_s'] = self._frame_flop() / min(seconds) / 1e9
            rows.append(row)
        stream, _ = self._filled(model, self.contexts[-1], 0)
        evicting = partial(stream.decoder.window.evict, TOKENS_PER_FRAME)
        rows[-1]['eviction_ms'] = self._seconds(evicting) * 1e3
        return rows

    def _steps(self, model: VloModel, context: int) -> list[float]:
        """Seconds of live frames at `context`, each up to its decision in the host."""
        stream, frames = self._filled(model, context, self.num_steps + 5)
        seconds = []
        with speaking_at(()):
            for frame in frames:
                seconds.append(self._seconds(partial(judge, stream, [frame])))
                # Taken back, so that every step is at this context and none falls on an eviction.
                stream.decoder.window.rewind(1)
        return seconds[5:]

    def _spoken(self, model: VloModel, context: int) -> dict[str, float]:
        """From an image in host memory to decision, first token and whole sentence."""
        stream, frames = self._filled(model, context, 6)
        image = np.random.default_rng(0).integers(0, 255, (720, 1280, 3), dtype=np.uint8)
        decided, first, sentence = [], [], []
        with speaking_at([frame.index for frame in frames]):
            for frame in frames:
                start = time.perf_counter()
                (tokens,) = model.encode([Frame(frame.stamp_ns, frame.index, image)])
                stream.put_frame(tokens)
                for number, outcome in enumerate(stream.advance()):
                    now = time.perf_counter() - start
                    if number == 0:
                        decided.append(now)
                    if isinstance(outcome, Partial) and outcome.num_tokens == 1:
                        first.append(now)
                sentence.append(time.perf_counter() - start - decided[-1])
        return {
            'capture_to_decision_ms': min(decided) * 1e3,
            'capture_to_first_token_ms': min(first) * 1e3,
            'sentence_ms': min(sentence) * 1e3,
        }

    def replay(self, model: VloModel) -> list[dict[str, Any]]:
        """A recording, language side alone and end to end."""
        rows = []
        for name, every in (('0', 0), ('1:100', 100), ('1:20', 20)):
            speaking = range(every, self.replay_frames, every) if every else ()
            for chunk in ('1', '8', '32', 'auto'):
                fps = self._replay_fps(model, chunk, speaking)
                row = {'speaking': name, 'chunk': chunk, 'language_fps': fps}
                row['gflop_per_s'] = fps * self._frame_flop() / 1e9
                if chunk == 'auto':
                    row['end_to_end_fps'] = self._end_to_end_fps(model, speaking)
                rows.append(row)
        return rows

    def _replay_fps(self, model: VloModel, chunk: str, speaking: Any) -> float:
        frames = make_frames(model, 0, self.replay_frames)
        with speaking_at(speaking):
            if chunk != '1':
                # With short sentences first: what shapes there are is captured once a stream.
                judge(self._fresh(model, chunk, max_new_tokens=1), frames)
            stream = self._fresh(model, chunk)
            seconds = self._seconds(partial(judge, stream, frames))
        return self.replay_frames / seconds

    def _end_to_end_fps(self, model: VloModel, speaking: Any) -> float:
        """Encode on one thread, judge on the other; once more, for shapes captured on the way."""
        images = self._images(self.replay_frames)
        return max(self._in_two_lanes(model, images, speaking) for _ in range(2))

    def _in_two_lanes(self, model: VloModel, images: list[Frame], speaking: Any) -> float:
        stream = self._fresh(model, 'auto')
        arrived = threading.Condition()

        def encode() -> None:
            for start in range(0, len(images), 32):
                tokens = model.encode(images[start : start + 32])
                with arrived:
                    for frame in tokens:
                        stream.put_frame(frame)
                    arrived.notify()

        start = time.perf_counter()
        with speaking_at(speaking), ThreadPoolExecutor(1) as encoder:
            encoding = encoder.submit(encode)
            while stream.num_judged < len(images):
                with arrived:
                    arrived.wait_for(lambda: stream.backlog_frames > 0, timeout=0.2)
                if encoding.done():
                    encoding.result()  # what it failed of, instead of waiting for ever
                for _ in stream.advance():
                    pass
            seconds = time.perf_counter() - start
        return len(images) / seconds

    def streams(self, model: VloModel) -> list[dict[str, Any]]:
        """Rounds of one frame of each stream in one forward."""
        rows = []
        window = 2048 if self.llama is LLAMA_8B else 512
        # Forwards of several streams have no fixed shape: nothing is to be captured for them.
        model.language.use_any_shape()
        for count in self.many:
            streams = {str(n): make_stream(model, window_tokens=window) for n in range(count)}
            with filling():
                for stream in streams.values():
                    judge(stream, make_frames(model, 0, window // 22))
            batch, seconds = StreamBatch(streams), []
            with speaking_at(()):
                for frame in make_frames(model, window // 22, 12):
                    for stream in streams.values():
                        stream.put_frame(frame)
                    seconds.append(self._seconds(lambda batch=batch: list(batch.advance())))
            round_s = min(seconds[2:])
            rows.append(
                {
                    'streams': count,
                    'window': window,
                    'round_ms': round_s * 1e3,
                    'total_fps': count / round_s,
                    'streams_at_2_fps': int(count / round_s / 2),
                    'streams_at_10_fps': int(count / round_s / 10),
                }
            )
            del streams, batch, stream
            self.release()
        return rows

    def memory(self, model: VloModel) -> list[dict[str, Any]]:
        """A day of frames through the cache, evictions done in earnest."""
        stream, rows, fed = self._fresh(model, '32'), [], 0
        points = (100, 400) if self.llama is LLAMA_TINY else (1200, 7200, DAY_FRAMES)
        with filling():
            for point in points:
                while fed < point:
                    count = min(3200, point - fed)
                    judge(stream, make_frames(model, fed, count))
                    fed += count
                rows.append(
                    {
                        'hours': point / 7200,
                        'cache_mb': stream.decoder.cache.num_bytes / 1e6,
                        'evictions': stream.num_evictions,
                        'device_mb': self._device_bytes() / 1e6,
                    }
                )
        return rows

    def decisions(self, model: VloModel, chunk: int) -> torch.Tensor:
        """Most likely id after each of 256 frames: (256,)."""
        cache, found = self._fresh(model, '1').decoder.cache, []
        frames = make_frames(model, 0, 256 if self.llama is LLAMA_8B else 32)
        interval_TD = model.language.embed(model.template.interval_ids)
        for start in range(0, len(frames), chunk):
            parts = [part for frame in frames[start : start + chunk]
                     for part in (interval_TD, frame.tokens_FD)]  # fmt: skip
            rows = tuple(TOKENS_PER_FRAME * (row + 1) - 1 for row in range(len(parts) // 2))
            (logits_RK,) = model.language.forward([Segment(torch.cat(parts), cache, rows)])
            found.append(logits_RK.argmax(dim=-1).clone())
        return torch.cat(found)

    def quantized(self, kind: str, reference_N: torch.Tensor) -> dict[str, Any]:
        """Speed and agreement of the language model held as `kind`."""
        llama = make_llama(self.llama, self.dtype, self.device)
        quantize(llama, kind, self.device)
        model = make_model(llama, self.siglip)
        row = agreement(kind, reference_N, self.decisions(model, 1))
        seconds = self._steps(model, self.contexts[-1])
        row |= {'live_p50_ms': machine.percentiles(seconds)['p50_ms']}
        return row | {'replay_fps_chunks_of_32': self._replay_fps(model, '32', ())}

    # -- pieces ----------------------------------------------------------------------------

    def _filled(
        self, model: VloModel, context: int, num_more: int
    ) -> tuple[Stream, list[FrameTokens]]:
        """A stream at `context`, and the frames that come next."""
        count = max(1, context // TOKENS_PER_FRAME - 4)
        frames = make_frames(model, 0, count + num_more)
        stream = self._fresh(model, '32')
        with filling():
            judge(stream, frames[:count])
        return stream, frames[count:]

    def _published_loop(self, dtype: torch.dtype) -> tuple[PublishedLoop, torch.Tensor]:
        """The published schedule before its first frame, and the tokens of a frame."""
        model = add_lora(make_llama(self.llama, dtype, self.device), LORA_RANK)
        tokens_FD = torch.randn(10, self.llama.hidden_size, device=self.device) * 0.02
        return PublishedLoop(model, interval_id=1), tokens_FD.to(dtype)

    def _at_frame(
        self, model: VloModel, count: int, chunk: str
    ) -> tuple[Stream, list[FrameTokens]]:
        """A stream after `count` frames, evictions done in earnest, and the next 64."""
        frames, stream = make_frames(model, 0, count + 64), self._fresh(model, chunk)
        with filling():
            judge(stream, frames[:count])
        return stream, frames[count:]

    def _fresh(self, model: VloModel, chunk: str, max_new_tokens: int = SENTENCE_TOKENS) -> Stream:
        """An empty stream with the default window; its graphs are captured once a model."""
        if self._stream is None or self._stream.decoder.language is not model.language:
            self._stream = None
            self._stream = make_stream(model)
        self._stream.configure(chunk=chunk, max_new_tokens=max_new_tokens)
        self._stream.reset()
        return self._stream

    def _images(self, count: int) -> list[Frame]:
        size = self.siglip.image_size
        source = np.random.default_rng(0)
        bank = [source.integers(0, 255, (size, size, 3), dtype=np.uint8) for _ in range(8)]
        return [Frame(int(n * NS_PER_S / FPS), n, bank[n % 8]) for n in range(count)]

    def _seconds(self, call: Callable[[], Any]) -> float:
        if self.device.type == 'cuda':
            return machine.cuda_seconds(call)
        start = time.perf_counter()
        call()
        return time.perf_counter() - start

    def _weight_bytes(self, model: VloModel) -> int:
        llama = model.language.model
        table = llama.get_input_embeddings().weight
        tensors = sum(p.numel() * p.element_size() for p in llama.parameters())
        return tensors - table.numel() * table.element_size()

    def _frame_flop(self) -> int:
        """Products of the language model for one frame, the head once; no attention."""
        llama = self.llama
        kv_dim = llama.num_key_value_heads * llama.hidden_size // llama.num_attention_heads
        layer = llama.hidden_size * (
            2 * llama.hidden_size + 2 * kv_dim + 3 * llama.intermediate_size
        )
        head = llama.hidden_size * llama.vocab_size
        return 2 * (llama.num_hidden_layers * layer * TOKENS_PER_FRAME + head)

    def _image_flop(self) -> int:
        """Products of the vision tower's layers for one image; no attention."""
        siglip = self.siglip
        patches = (siglip.image_size // siglip.patch_size) ** 2
        layer = siglip.hidden_size * (4 * siglip.hidden_size + 2 * siglip.intermediate_size)
        return 2 * siglip.num_hidden_layers * layer * patches

    def _cache_bytes(self, model: VloModel, context: int) -> int:
        language = model.language
        per_token = 2 * self.llama.num_hidden_layers * language.num_kv_heads * language.head_dim
        return per_token * context * self.dtype.itemsize

    def _device_bytes(self) -> int:
        return torch.cuda.memory_allocated() if self.device.type == 'cuda' else 0

    def release(self) -> None:
        """Give back what nobody uses; models are the caller's to let go."""
        self._stream = None
        gc.collect()
        if self.device.type == 'cuda':
            torch.cuda.empty_cache()


def agreement(what: str, one_N: torch.Tensor, other_N: torch.Tensor) -> dict[str, Any]:
    """How often two ways to judge the same frames choose the same id."""
    return {'what': what, 'agreement': float((one_N == other_N).float().mean())}
