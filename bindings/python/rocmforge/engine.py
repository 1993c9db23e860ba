"""Engines: requests in, text, tokens, vectors and scores out."""
from __future__ import annotations

import ctypes as c
import json
import os
from dataclasses import dataclass, field
from types import TracebackType
from typing import (TYPE_CHECKING, Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, Type, TypedDict,
                    Union)

from . import _native
from ._native import Handle, lib
from .errors import END, TIMEOUT, check, error_of
from .model import Message, Model, Prompt, native_prompt, sampling_text

if TYPE_CHECKING:
    from typing_extensions import Unpack

Sampling = Mapping[str, Union[int, float, str]]
Progress = Callable[[int, int], Optional[bool]]

EMBED, SCORE = 1, 2
DRAFTS = {"default": 0, "none": 1, "lookup": 2}
POOLINGS = {"mean": 0, "last": 1, "cls": 2}
CACHE_TYPES = {"default": 0, "f32": 1, "f16": 2, "q8_0": 3}
SLICE_MS = 100  # a wait is cut so that Ctrl-C is heard


@dataclass(frozen=True)
class TokenLogprob:
    token: int
    logprob: float


@dataclass(frozen=True)
class Token:
    """token is None where text comes that was only held back; logprob where none was asked for."""

    choice: int
    text: str
    token: Optional[int]
    logprob: Optional[float]
    top: Tuple[TokenLogprob, ...]


@dataclass(frozen=True)
class Finish:
    """reason: stop, stop_text, length, context, done, cancelled, closed."""

    choice: int
    reason: str
    n_prompt: int
    n_cached: int
    n_generated: int
    n_drafted: int
    n_accepted: int
    seed: int
    last: bool


@dataclass(frozen=True)
class Embedding:
    vector: List[float]


@dataclass(frozen=True)
class Scores:
    """One row a token: the token itself, then the alternatives asked for."""

    rows: List[List[TokenLogprob]]


Event = Union[Token, Finish, Embedding, Scores]


@dataclass
class Answer:
    text: str = ""
    tokens: List[int] = field(default_factory=list)
    logprobs: List[Token] = field(default_factory=list)
    finish: Optional[Finish] = None


@dataclass(frozen=True)
class Counters:
    n_requests: int
    n_finished: int
    n_failed: int
    n_cancelled: int
    n_steps: int
    step_ns: int
    last_step_ns: int
    n_prefill_tokens: int
    n_decode_tokens: int
    n_generated_tokens: int
    n_cached_tokens: int
    n_preempted: int
    n_running: int
    n_paused: int
    n_waiting: int


def _logprobs(array: Any, start: int, n: int) -> List[TokenLogprob]:
    return [TokenLogprob(array[i].token, array[i].logprob) for i in range(start, start + n)]


def _event(raw: _native.Event, wants_logprobs: bool) -> Event:
    if raw.kind == 1:
        text = c.string_at(raw.text, raw.n_bytes).decode()
        known = raw.token >= 0
        return Token(raw.choice, text, raw.token if known else None,
                     raw.logprob if known and wants_logprobs else None, tuple(_logprobs(raw.top, 0, raw.n_top)))
    if raw.kind == 3:
        return Embedding(list(raw.embedding[:raw.n_embedding]))
    if raw.kind == 4:
        stride = raw.scores_stride
        return Scores([_logprobs(raw.scores, i * stride, stride) for i in range(raw.n_scores)])
    if raw.status < 0:
        raise error_of(raw.status, raw.error.decode(errors="replace"))
    return Finish(raw.choice, lib.finish_name(raw.finish).decode(), raw.n_prompt, raw.n_cached, raw.n_generated,
                  raw.n_drafted, raw.n_accepted, raw.seed, bool(raw.last))


class GenerateOptions(TypedDict, total=False):
    """What may be asked of a request to generate; everything may be left out."""

    n_tokens: int  # at most; 0: as many as fit
    sampling: Optional[Sampling]  # {"temperature": 0, "top_k": 20, "seed": 1, …}
    stops: Sequence[str]
    regex: Optional[str]  # the whole answer matches it
    one_of: Sequence[str]  # the answer is one of these
    grammar: Optional[str]  # it is a text of the grammar's root (GBNF)
    json_schema: Union[str, Mapping[str, Any], bool, None]  # it is a document that is valid under the schema
    n_choices: int
    n_top: int  # alternatives with their log-probabilities, with each token
    ignore_end: bool
    biases: Mapping[int, float]
    dry_breakers: Sequence[str]
    draft: str  # who guesses further tokens: "default" (the draft model), "none" or "lookup"
    priority: int
    cache_salt: int
    keeps_private: bool
    tools: Optional[Sequence[Any]]
    variables: Optional[Mapping[str, Any]]
    continue_final_message: bool


def _texts(texts: Sequence[str]) -> "c.Array[c.c_char_p]":
    return (c.c_char_p * len(texts))(*(text.encode() for text in texts))


def _generate_options(prompt: Prompt, **given: Unpack[GenerateOptions]) -> _native.RequestOptions:
    native = native_prompt(prompt, given.get("tools"), given.get("variables"))
    native.continue_final_message = int(given.get("continue_final_message", False))
    options = _native.RequestOptions()
    options.prompt = c.pointer(native)
    for name in ("n_tokens", "n_choices", "n_top", "priority", "cache_salt"):
        setattr(options, name, given.get(name, 0))
    for name in ("ignore_end", "keeps_private"):
        setattr(options, name, int(bool(given.get(name, False))))
    options.draft = DRAFTS[given.get("draft", "default")]
    options.sampling = sampling_text(given.get("sampling"))
    pattern, one_of = given.get("regex"), given.get("one_of", ())
    options.regex = pattern.encode() if pattern is not None else None
    grammar, schema = given.get("grammar"), given.get("json_schema")
    options.grammar = grammar.encode() if grammar is not None else None
    if schema is not None:
        options.json_schema = (schema if isinstance(schema, str) else json.dumps(schema)).encode()
    options.one_of, options.n_one_of = _texts(one_of), len(one_of)
    stops, breakers = given.get("stops", ()), given.get("dry_breakers", ())
    options.stops, options.n_stops = _texts(stops), len(stops)
    options.dry_breakers, options.n_dry_breakers = _texts(breakers), len(breakers)
    pairs = [_native.TokenBias(token, bias) for token, bias in given.get("biases", {}).items()]
    options.biases, options.n_biases = (_native.TokenBias * len(pairs))(*pairs), len(pairs)
    return options


class Request:
    """A request that runs: an iterator over its events. One thread at a time takes them; any may cancel."""

    def __init__(self, engine: Engine, options: _native.RequestOptions) -> None:
        handle = Handle()
        check(lib.submit(engine._handle, c.byref(options), c.byref(handle)))
        self._handle: Optional[Handle] = handle
        self._wants_logprobs = options.n_top > 0

    def next_event(self, timeout: Optional[float] = None) -> Optional[Event]:
        """Waits for timeout seconds (None: for ever); None: nothing came. StopIteration after the last event."""
        left = None if timeout is None else int(timeout * 1000)
        raw = _native.Event()
        while True:
            now = SLICE_MS if left is None else min(left, SLICE_MS)
            status: int = lib.request_next(self._handle, c.byref(raw), now)
            if status == END:
                raise StopIteration
            if status != TIMEOUT:
                check(status)
                return _event(raw, self._wants_logprobs)
            if left is not None:
                left -= now
                if left <= 0:
                    return None

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        event = self.next_event()
        assert event is not None
        return event

    def cancel(self) -> None:
        """Its events go on up to the last one."""
        check(lib.request_cancel(self._handle))

    def close(self) -> None:
        """Cancels what has not ended. Closing twice is fine here."""
        handle, self._handle = self._handle, None
        if handle is not None:
            check(lib.request_close(handle))

    def __enter__(self) -> Request:
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], value: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_handle", None) is not None:
            lib.request_close(self._handle)


class Engine:
    """Weights, cache and the threads that run them. Any thread may submit."""

    def __init__(self, model: Model, *, n_ctx: int = 0, kv_tokens: int = 0, max_requests: int = 0, max_waiting: int = 0,
                 batch_tokens: int = 0, n_threads: int = 0, cache_type_k: str = "default", cache_type_v: str = "default",
                 isa: str = "auto", draft_model: Optional[Model] = None, n_draft_max: int = 0, progress: Optional[Progress] = None) -> None:
        """0: the library's default. progress: called with bytes done and in all; False gives up."""
        options = _native.EngineOptions()
        options.n_ctx, options.kv_tokens, options.max_requests = n_ctx, kv_tokens, max_requests
        options.max_waiting, options.batch_tokens, options.n_threads = max_waiting, batch_tokens, n_threads
        options.cache_type_k, options.cache_type_v = CACHE_TYPES[cache_type_k], CACHE_TYPES[cache_type_v]
        options.isa = isa.encode()
        options.draft_model = draft_model._handle if draft_model is not None else None
        options.n_draft_max = n_draft_max
        raised: List[BaseException] = []

        def call(_user: object, done: int, total: int) -> int:
            try:
                return int(progress is not None and progress(done, total) is False)
            except BaseException as error:  # must not pass through C
                raised.append(error)
                return 1
        if progress is not None:
            options.progress = _native.PROGRESS(call)
        handle = Handle()
        status: int = lib.engine_open(model._handle, c.byref(options), c.byref(handle))
        if raised:
            raise raised[0]
        check(status)
        self._handle = handle
        self.model = model
        self.draft_model = draft_model

    def close(self) -> None:
        check(lib.engine_close(self._handle))

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], value: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        self.close()

    @property
    def n_ctx(self) -> int:
        n: int = lib.engine_n_ctx(self._handle)
        return n

    @property
    def counters(self) -> Counters:
        raw = _native.Counters()
        check(lib.engine_get_counters(self._handle, c.byref(raw)))
        values: Dict[str, int] = {name: getattr(raw, name) for name in Counters.__dataclass_fields__}
        return Counters(**values)

    def submit(self, prompt: Prompt, **options: Unpack[GenerateOptions]) -> Request:
        """Takes a request to generate in."""
        return Request(self, _generate_options(prompt, **options))

    def generate(self, prompt: Prompt, **options: Unpack[GenerateOptions]) -> Iterator[str]:
        """Pieces of the answer as they come; options as of submit. Leaving the loop ends the request."""
        with self.submit(prompt, **options) as request:
            for event in request:
                if isinstance(event, Token) and event.text and event.choice == 0:
                    yield event.text

    def complete(self, prompt: Prompt, **options: Unpack[GenerateOptions]) -> List[Answer]:
        """The whole answers, one a choice; options as of submit."""
        answers = [Answer() for _ in range(options.get("n_choices", 1))]
        with self.submit(prompt, **options) as request:
            for event in request:
                if isinstance(event, Token):
                    answers[event.choice].text += event.text
                    if event.token is not None:
                        answers[event.choice].tokens.append(event.token)
                        answers[event.choice].logprobs.append(event)
                elif isinstance(event, Finish):
                    answers[event.choice].finish = event
        return answers

    def chat(self, messages: Sequence[Message], **options: Unpack[GenerateOptions]) -> Iterator[str]:
        """Pieces of the answer to messages."""
        return self.generate(messages, **options)

    def embed(self, texts: Sequence[Prompt], *, pooling: str = "mean", normalise: bool = True) -> List[List[float]]:
        """One vector a text; all run together."""
        requests = []
        vectors: List[List[float]] = []
        try:
            for text in texts:
                options, native = _native.RequestOptions(), native_prompt(text)
                options.kind, options.pooling, options.normalise = EMBED, POOLINGS[pooling], int(normalise)
                options.prompt = c.pointer(native)
                requests.append(Request(self, options))
            for request in requests:
                vectors += [event.vector for event in request if isinstance(event, Embedding)]
        finally:
            for request in requests:
                request.close()
        return vectors

    def score(self, prompt: Prompt, *, first: int = 1, n_top: int = 0) -> List[List[TokenLogprob]]:
        """Log-probabilities of the prompt's tokens from `first` on: each row the token, then alternatives."""
        options, native = _native.RequestOptions(), native_prompt(prompt)
        options.kind, options.scores_from, options.n_top = SCORE, first, n_top
        options.prompt = c.pointer(native)
        with Request(self, options) as request:
            for event in request:
                if isinstance(event, Scores):
                    return event.rows
        return []

    def save(self, prompt: Prompt, path: Union[str, "os.PathLike[str]"], *, cache_salt: int = 0) -> int:
        """Writes what the cache holds of a prompt that was run; how many of its tokens."""
        native, n = native_prompt(prompt), c.c_size_t()
        check(lib.save(self._handle, c.byref(native), cache_salt, os.fsencode(path), c.byref(n)))
        return n.value

    def load(self, path: Union[str, "os.PathLike[str]"], *, cache_salt: int = 0) -> List[int]:
        """Brings such a file back into the cache; its tokens."""
        tokens, n = (c.c_int32 * self.n_ctx)(), c.c_size_t()
        check(lib.load(self._handle, cache_salt, os.fsencode(path), tokens, self.n_ctx, c.byref(n)))
        return tokens[:n.value]
