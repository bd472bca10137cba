# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Any endpoint that speaks OpenAI's chat completions; `vllm serve MODEL` is one."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import httpx2

from training.synthesis.request import Answer, Request, SynthesisError, Tally
from vlo_ros.errors import ConfigError, one_line

RETRIED_STATUSES = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
# The endpoint is set up wrongly: no request will ever be answered.
FATAL_STATUSES = frozenset({401, 403, 404, 405})


@dataclass(frozen=True)
class EndpointSettings:
    """How an endpoint is asked.

    Attributes:
        url: Up to and including `/v1`.
        api_key: Sent as a bearer token unless empty.
        concurrency: Requests under way at once.
        attempts: Tries for each request.
        timeout_s: Longest wait for one answer.
        first_wait_s: Wait before the second try; it doubles with every further one.
        longest_wait_s: At most; also where the endpoint asks for more.
    """

    url: str
    api_key: str = ''
    concurrency: int = 32
    attempts: int = 6
    timeout_s: float = 300.0
    first_wait_s: float = 1.0
    longest_wait_s: float = 60.0

    def __post_init__(self) -> None:
        if not self.url.startswith(('http://', 'https://')):
            raise ConfigError(f'--endpoint {self.url!r}: expected http://HOST:PORT/v1')
        if self.concurrency < 1 or self.attempts < 1 or self.timeout_s <= 0:
            raise ConfigError('endpoint: concurrency, attempts and timeout_s must be above 0')


class _Retry(Exception):  # noqa: N818 (not an error: asks for another try)
    """A try failed; another may not."""

    def __init__(self, kind: str, reason: str, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.kind = kind
        self.wait_s = wait_s


class Endpoint:
    """Asks an endpoint, so many requests at once."""

    def __init__(self, settings: EndpointSettings) -> None:
        self.settings = settings
        self._url = f'{settings.url.rstrip("/")}/chat/completions'

    def answer(
        self, requests: Sequence[Request], keep: Callable[[int, Answer], None], tally: Tally
    ) -> None:
        """Answer requests as the endpoint gets round to them (Engine.answer)."""
        asyncio.run(self._answer(requests, keep, tally))

    async def _answer(
        self, requests: Sequence[Request], keep: Callable[[int, Answer], None], tally: Tally
    ) -> None:
        settings = self.settings
        headers = {'Authorization': f'Bearer {settings.api_key}'} if settings.api_key else {}
        limits = httpx2.Limits(
            max_connections=settings.concurrency, max_keepalive_connections=settings.concurrency
        )
        waiting = iter(enumerate(requests))
        async with httpx2.AsyncClient(
            headers=headers, limits=limits, timeout=settings.timeout_s
        ) as client:

            async def work() -> None:
                # Workers share one iterator, so no more than `concurrency` requests exist at once.
                for position, request in waiting:
                    keep(position, await self._ask(client, request, tally))

            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(min(settings.concurrency, len(requests))):
                        group.create_task(work())
            except* SynthesisError as errors:
                raise errors.exceptions[0] from None

    async def _ask(self, client: httpx2.AsyncClient, request: Request, tally: Tally) -> Answer:
        """Ask until there is an answer or the tries are used up."""
        settings = self.settings
        pause = random.Random(request.digest)  # spreads the tries of many requests
        for attempt in range(1, settings.attempts + 1):
            try:
                return await self._try(client, request)
            except _Retry as problem:
                tally.add(problem.kind)
                if attempt < settings.attempts:
                    wait_s = settings.first_wait_s * 2 ** (attempt - 1) * pause.uniform(0.5, 1.0)
                    wait_s = max(wait_s, problem.wait_s or 0.0)
                    await asyncio.sleep(min(wait_s, settings.longest_wait_s))
                elif problem.kind == 'unreachable':
                    raise SynthesisError(
                        f'{self._url}: cannot be reached: {problem}; what was answered is kept'
                    ) from None
                else:
                    return Answer(None, problem.kind)
        raise AssertionError('unreachable')

    async def _try(self, client: httpx2.AsyncClient, request: Request) -> Answer:
        try:
            response = await client.post(self._url, json=_body(request))
        except httpx2.TimeoutException as error:
            raise _Retry('timeout', one_line(error)) from None
        except httpx2.TransportError as error:
            kind = 'unreachable' if isinstance(error, httpx2.ConnectError) else 'disconnected'
            raise _Retry(kind, one_line(error)) from None
        status = response.status_code
        if status in RETRIED_STATUSES:
            kind = 'rate_limited' if status == 429 else 'server_error'
            raise _Retry(kind, f'status {status}', _retry_after(response))
        if status in FATAL_STATUSES:
            raise SynthesisError(
                f'{self._url}: status {status}: {" ".join(response.text.split())[:200]}'
            )
        if status != 200:  # such as a prompt that is too long
            return Answer(None, f'status_{status}')
        return _parse(response)


def _body(request: Request) -> dict[str, Any]:
    body: dict[str, Any] = {
        'model': request.model,
        'messages': [{'role': role, 'content': text} for role, text in request.messages],
        'max_tokens': request.max_tokens,
        'temperature': request.temperature,
        'top_p': request.top_p,
        'seed': request.seed,
    }
    if request.stop:
        body['stop'] = list(request.stop)
    return body


def _parse(response: httpx2.Response) -> Answer:
    """Read an answer; what is not one is asked for again."""
    try:
        choice = response.json()['choices'][0]
        text, finish = choice['message']['content'], choice.get('finish_reason') or 'stop'
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise _Retry('malformed', one_line(error)) from None
    if not isinstance(text, str) or not isinstance(finish, str):
        raise _Retry('malformed', 'no text in it')
    return Answer(text, finish)


def _retry_after(response: httpx2.Response) -> float | None:
    """Seconds the endpoint asks to wait; a date is left to the usual back-off."""
    try:
        return float(response.headers.get('retry-after', ''))
    except ValueError:
        return None
