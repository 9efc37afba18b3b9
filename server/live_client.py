"""Asking the live worker: HTTP with time limits, and every way in which it fails as a PageError.

    answer = await ask("http://127.0.0.1:8010", Question(...))

The shapes are those of `worker.live.question`, which the server must not import (it would bring
torch nearer than it may come); a test holds the two together. What comes back is checked like
anything else from the network.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import httpx2
from pydantic import TypeAdapter, ValidationError

from server.errors import (
    BadParameter,
    PageError,
    PairNotAtWorker,
    WorkerBusy,
    WorkerHasOtherWeights,
    WorkerSlow,
    WorkerUnreachable,
)
from store.records import Side, Site

#: The worker's own limit is 10 s; it says so itself before we lose patience.
LIMIT_S = 12.0
CONNECT_S = 2.0
MAX_ANSWER_BYTES = 4 * 1024 * 1024

WAITS = "Try again in a moment."
COMMAND = "twinscope serve --with-worker"


@dataclass(frozen=True)
class Question:
    """As `worker.live.question.Question`."""

    pair: str
    weights: dict[Side, str]
    text: str
    tokenizer: str | None
    layer: int | None
    neuron: int | None
    token: int | None
    most_active: int


@dataclass(frozen=True)
class ActiveNeuron:
    """As `worker.live.question.ActiveNeuron`."""

    layer: int
    neuron: int
    activation: float
    other_activation: float | None
    other_rank: int | None


@dataclass(frozen=True)
class SideAnswer:
    """As `worker.live.question.SideAnswer`."""

    display_site: Site
    values: dict[Site, list[float]]
    most_active: list[ActiveNeuron]
    n_neurons: int


@dataclass(frozen=True)
class Answer:
    """As `worker.live.question.Answer`."""

    tokens: list[int]
    n_dropped: int
    layer: int
    neuron: int
    token: int
    versions: dict[Side, SideAnswer]


_ANSWER = TypeAdapter(Answer)


async def ask(url: str, question: Question) -> Answer:
    """The worker's answer.

    Errors: WorkerBusy, WorkerSlow, WorkerUnreachable, WorkerHasOtherWeights, PairNotAtWorker, and
    BadParameter where the text has no such token.
    """
    try:
        async with asyncio.timeout(LIMIT_S):
            status, body = await _posted(url, question)
    except (TimeoutError, httpx2.ReadTimeout, httpx2.WriteTimeout) as error:
        raise WorkerSlow(
            f"The live worker did not answer within {LIMIT_S:g} s; it may still be loading the "
            f"models. {WAITS}"
        ) from error
    except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
        raise WorkerUnreachable(
            "The live worker does not answer: it has ended, or was never started. "
            f"“{COMMAND}” starts the site with one."
        ) from error
    except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
        raise WorkerUnreachable(
            f"The live worker went away before it had answered. {WAITS}"
        ) from error
    if status != 200:
        raise _refusal(status, body)
    try:
        return _checked(_ANSWER.validate_json(body), question)
    except (ValidationError, ValueError) as error:
        raise _unreadable() from error


async def _posted(url: str, question: Question) -> tuple[int, bytes]:
    """Status and body. No proxy and no redirect: the worker is where the settings say."""
    client = httpx2.AsyncClient(
        trust_env=False,
        follow_redirects=False,
        verify=_ssl_context(),
        timeout=httpx2.Timeout(LIMIT_S, connect=CONNECT_S),
    )
    async with (
        client,
        client.stream("POST", f"{url.rstrip('/')}/texts", json=asdict(question)) as answer,
    ):
        body = b""
        async for piece in answer.aiter_bytes():
            body += piece
            if len(body) > MAX_ANSWER_BYTES:
                raise _unreadable()
        return answer.status_code, body


@lru_cache(maxsize=1)
def _ssl_context() -> ssl.SSLContext:
    """Made once: reading the system's certificates takes longer than a text."""
    return ssl.create_default_context()


def _checked(answer: Answer, question: Question) -> Answer:
    """The answer, if it answers this question; ValueError if its parts do not fit."""
    length = len(answer.tokens)
    fits = (
        answer.versions.keys() == question.weights.keys()
        and 1 <= answer.token < length
        and question.token in (None, answer.token)
        and (
            question.neuron is None
            or (answer.layer, answer.neuron) == (question.layer, question.neuron)
        )
        and all(
            version.display_site in version.values
            and all(len(values) == length for values in version.values.values())
            for version in answer.versions.values()
        )
    )
    if not fits:
        raise ValueError("an answer to another question")
    return answer


def _refusal(status: int, body: bytes) -> PageError:
    """The worker's own words as an error of the page."""
    try:
        words = TypeAdapter(dict[str, dict[str, Any]]).validate_json(body)["error"]
        code, message = str(words["code"]), str(words["message"])[:500]
    except (ValidationError, KeyError):
        return _unreadable()
    hint = str(words.get("hint") or "")[:500]
    said = f"{message.rstrip('.')}; {hint.rstrip('.')}." if hint else message
    kinds: dict[str, type[PageError]] = {
        "busy": WorkerBusy,
        "loading": WorkerBusy,
        "too_slow": WorkerSlow,
        "other_weights": WorkerHasOtherWeights,
        "pair_not_here": PairNotAtWorker,
        "bad_question": BadParameter,
    }
    kind = kinds.get(code)
    if kind is None:
        return WorkerUnreachable(f"The live worker failed at this text ({status}): {said}")
    return kind(said)


def _unreadable() -> WorkerUnreachable:
    return WorkerUnreachable(
        "The live worker answered something that cannot be read; "
        "is it of this version of Twinscope?"
    )
