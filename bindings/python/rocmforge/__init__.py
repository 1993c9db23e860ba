"""Runs GGUF language models with the rocmforge library.

    import rocmforge
    with rocmforge.Model("model.gguf") as model, rocmforge.Engine(model) as engine:
        for piece in engine.chat([{"role": "user", "content": "Hello"}], n_tokens=100):
            print(piece, end="", flush=True)
"""
from __future__ import annotations

from typing import Any, Callable, Optional

from . import _native
from .engine import Answer, Counters, Embedding, Engine, Event, Finish, Request, Scores, Token, TokenLogprob
from .errors import (CancelledError, Error, FileError, InvalidError, LimitError, MisuseError, NoMemoryError, NotFoundError,
                     UnsupportedError, check)
from .model import Message, Model, ModelInfo, Prompt

__all__ = ["Answer", "CancelledError", "Counters", "Embedding", "Engine", "Error", "Event", "FileError", "Finish",
           "InvalidError", "LimitError", "Message", "MisuseError", "Model", "ModelInfo", "NoMemoryError", "NotFoundError",
           "Prompt", "Request", "Scores", "Token", "TokenLogprob", "UnsupportedError", "set_log", "version"]

LEVELS = ("error", "warn", "info", "debug", "trace")
_log: Any = None  # the library calls it until it is replaced


def version() -> str:
    """Of the C library."""
    text: str = _native.lib.version().decode()
    return text


def set_log(callback: Optional[Callable[[str, str, str], None]], level: str = "info") -> None:
    """callback(level, topic, text) gets the lines of the log; None drops them. It may run on any thread."""
    global _log

    def call(_user: object, number: int, topic: bytes, text: bytes) -> None:
        if callback is not None:
            callback(LEVELS[number], topic.decode(errors="replace"), text.decode(errors="replace"))
    made = _native.LOG(call) if callback is not None else _native.LOG()
    check(_native.lib.log_set(made, None, LEVELS.index(level)))
    _log = made
