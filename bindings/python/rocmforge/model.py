"""Models: the file, its tokenizer and its chat template."""
from __future__ import annotations

import ctypes as c
import json
import os
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Dict, List, Mapping, Optional, Sequence, Type, Union, cast

from . import _native
from ._native import Handle, lib
from .errors import check

Message = Mapping[str, Any]
"""{"role": "user", "content": "…"}, as in the OpenAI API."""

Prompt = Union[str, Sequence[int], Sequence[Message]]
"""A text as it stands, tokens, or messages for the chat template."""


@dataclass(frozen=True)
class ModelInfo:
    architecture: str
    name: str
    n_parameters: int
    weights_bytes: int
    file_bytes: int
    n_layer: int
    n_embd: int
    n_head: int
    n_head_kv: int
    n_vocab: int
    n_ctx_train: int
    bos: int
    eos: int
    eot: int
    unk: int
    pad: int
    has_chat_template: bool


class Model:
    """A GGUF file. Any thread may use it. Its engines are closed before it."""

    def __init__(self, path: Union[str, "os.PathLike[str]"], *, chat_template: Optional[str] = None,
                 allow_slow_types: bool = False) -> None:
        options = _native.ModelOptions()
        options.chat_template = chat_template.encode() if chat_template is not None else None
        options.allow_slow_types = int(allow_slow_types)
        handle = Handle()
        check(lib.model_open(os.fsencode(path), c.byref(options), c.byref(handle)))
        self._handle = handle

    def close(self) -> None:
        check(lib.model_close(self._handle))

    def __enter__(self) -> Model:
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], value: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        self.close()

    @property
    def info(self) -> ModelInfo:
        raw = _native.ModelInfo()
        check(lib.model_get_info(self._handle, c.byref(raw)))
        numbers = {name: getattr(raw, name) for name in ModelInfo.__dataclass_fields__
                   if name not in ("architecture", "name", "has_chat_template")}
        return ModelInfo(architecture=raw.architecture.decode(), name=raw.model_name.decode(),
                         has_chat_template=bool(raw.has_chat_template), **numbers)

    def tokenize(self, text: str, *, special: bool = True, plain: bool = False) -> List[int]:
        """special: add the tokens that begin and end texts; plain: control tokens are ordinary text."""
        data = text.encode()
        flags = (0 if special else 1) | (2 if plain else 0)
        room = len(data) + 8
        while True:
            tokens, n = (c.c_int32 * room)(), c.c_size_t()
            status: int = lib.tokenize(self._handle, data, len(data), flags, tokens, room, c.byref(n))
            if status == 0 or n.value <= room:
                check(status)
                return tokens[:n.value]
            room = n.value

    def detokenize(self, tokens: Sequence[int]) -> bytes:
        """A lone token's bytes are not always whole characters."""
        array, n = (c.c_int32 * len(tokens))(*tokens), c.c_size_t()
        room = 16 * len(tokens) + 16
        while True:
            text = c.create_string_buffer(room)
            status: int = lib.detokenize(self._handle, array, len(tokens), text, room, c.byref(n))
            if status == 0 or n.value <= room:
                check(status)
                return text.raw[:n.value]
            room = n.value

    def is_end(self, token: int) -> bool:
        """Whether the token ends answers."""
        ends: int = lib.token_is_end(self._handle, token)
        check(ends)
        return ends == 1

    def render(self, messages: Sequence[Message], *, tools: Optional[Sequence[Any]] = None,
               variables: Optional[Mapping[str, Any]] = None) -> str:
        """The text that the chat template makes of messages."""
        prompt, n, room = native_prompt(messages, tools, variables), c.c_size_t(), 4096
        while True:
            text = c.create_string_buffer(room)
            status: int = lib.render(self._handle, c.byref(prompt), text, room, c.byref(n))
            if status == 0 or n.value <= room:
                check(status)
                return text.raw[:n.value].decode()
            room = n.value


def native_prompt(prompt: Prompt, tools: Optional[Sequence[Any]] = None,
                  variables: Optional[Mapping[str, Any]] = None) -> _native.Prompt:
    native = _native.Prompt()
    if isinstance(prompt, str):
        data = prompt.encode()
        native.text, native.n_bytes = data, len(data)
    elif len(prompt) > 0 and isinstance(prompt[0], Mapping):
        native.messages_json = json.dumps(list(prompt)).encode()
    else:
        ids = cast(Sequence[int], prompt)
        native.tokens, native.n_tokens = (c.c_int32 * len(ids))(*ids), len(ids)
    native.tools_json = json.dumps(list(tools)).encode() if tools is not None else None
    native.variables_json = json.dumps(dict(variables)).encode() if variables is not None else None
    return native


def sampling_text(sampling: Optional[Mapping[str, Union[int, float, str]]]) -> Optional[bytes]:
    """{"temperature": 0.7, "samplers": "top_k;temperature"} as the library reads it."""
    items: Dict[str, Union[int, float, str]] = dict(sampling or {})
    return " ".join(f"{name}={value}" for name, value in items.items()).encode() if items else None
