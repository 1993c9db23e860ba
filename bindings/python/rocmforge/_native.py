"""The C library as ctypes sees it: its structs, field by field, and its functions. Private."""
from __future__ import annotations

import ctypes as c
import ctypes.util
import os
from typing import Any, ClassVar, Dict, List, Type

Handle = c.c_void_p

PROGRESS = c.CFUNCTYPE(c.c_int32, c.c_void_p, c.c_uint64, c.c_uint64)
LOG = c.CFUNCTYPE(None, c.c_void_p, c.c_int32, c.c_char_p, c.c_char_p)


class TokenLogprob(c.Structure):
    _fields_ = [("token", c.c_int32), ("logprob", c.c_float)]
    token: int
    logprob: float


class TokenBias(c.Structure):
    _fields_ = [("token", c.c_int32), ("bias", c.c_float)]


class Sized(c.Structure):
    """A struct that begins with its size; everything else is zero, the default."""

    name: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        setattr(self, "struct_size", c.sizeof(self))


class ModelOptions(Sized):
    name = "model_options"
    _fields_ = [("struct_size", c.c_size_t), ("chat_template", c.c_char_p), ("allow_slow_types", c.c_int32),
                ("reserved", c.c_int32)]


class ModelInfo(Sized):
    name = "model_info"
    _fields_ = [("struct_size", c.c_size_t), ("architecture", c.c_char_p), ("model_name", c.c_char_p),
                ("n_parameters", c.c_uint64), ("weights_bytes", c.c_uint64), ("file_bytes", c.c_uint64),
                ("n_layer", c.c_uint32), ("n_embd", c.c_uint32), ("n_head", c.c_uint32), ("n_head_kv", c.c_uint32),
                ("n_vocab", c.c_uint32), ("n_ctx_train", c.c_uint32), ("bos", c.c_int32), ("eos", c.c_int32),
                ("eot", c.c_int32), ("unk", c.c_int32), ("pad", c.c_int32), ("has_chat_template", c.c_int32)]


class Prompt(Sized):
    name = "prompt"
    _fields_ = [("struct_size", c.c_size_t), ("text", c.c_char_p), ("n_bytes", c.c_size_t),
                ("tokens", c.POINTER(c.c_int32)), ("n_tokens", c.c_size_t), ("messages", c.c_void_p),
                ("n_messages", c.c_size_t), ("messages_json", c.c_char_p), ("tools_json", c.c_char_p),
                ("variables_json", c.c_char_p), ("flags", c.c_uint32), ("continue_final_message", c.c_int32)]


class EngineOptions(Sized):
    name = "engine_options"
    _fields_ = [("struct_size", c.c_size_t), ("n_ctx", c.c_uint32), ("kv_tokens", c.c_uint32),
                ("max_requests", c.c_uint32), ("max_waiting", c.c_uint32), ("batch_tokens", c.c_uint32),
                ("n_threads", c.c_uint32), ("cache_type_k", c.c_int32), ("cache_type_v", c.c_int32),
                ("draft_model", c.c_void_p), ("n_draft_max", c.c_uint32), ("reserved", c.c_uint32), ("isa", c.c_char_p), ("progress", PROGRESS), ("progress_user", c.c_void_p)]


class Counters(Sized):
    name = "counters"
    _fields_ = [("struct_size", c.c_size_t),
                *((field, c.c_uint64) for field in (
                    "n_requests", "n_finished", "n_failed", "n_cancelled", "n_steps", "step_ns", "last_step_ns",
                    "n_prefill_tokens", "n_decode_tokens", "n_generated_tokens", "n_cached_tokens", "n_preempted")),
                *((field, c.c_uint32) for field in ("n_running", "n_paused", "n_waiting", "reserved"))]


class RequestOptions(Sized):
    name = "request_options"
    _fields_ = [("struct_size", c.c_size_t), ("kind", c.c_int32), ("priority", c.c_int32),
                ("prompt", c.POINTER(Prompt)), ("n_tokens", c.c_uint32), ("n_choices", c.c_uint32),
                ("sampling", c.c_char_p), ("stops", c.POINTER(c.c_char_p)), ("n_stops", c.c_size_t),
                ("dry_breakers", c.POINTER(c.c_char_p)), ("n_dry_breakers", c.c_size_t),
                ("biases", c.POINTER(TokenBias)), ("n_biases", c.c_size_t), ("regex", c.c_char_p),
                ("one_of", c.POINTER(c.c_char_p)), ("n_one_of", c.c_size_t), ("ignore_end", c.c_int32), ("n_top", c.c_uint32), ("scores_from", c.c_uint32), ("pooling", c.c_int32),
                ("normalise", c.c_int32), ("draft", c.c_int32), ("keeps_private", c.c_int32), ("reserved", c.c_int32),
                ("cache_salt", c.c_uint64),
                ("user", c.c_void_p), ("grammar", c.c_char_p), ("json_schema", c.c_char_p)]


class Event(Sized):
    name = "event"
    _fields_ = [("struct_size", c.c_size_t), ("kind", c.c_int32), ("choice", c.c_uint32), ("user", c.c_void_p),
                ("text", c.c_void_p), ("n_bytes", c.c_size_t), ("token", c.c_int32), ("logprob", c.c_float),
                ("top", c.POINTER(TokenLogprob)), ("n_top", c.c_size_t), ("embedding", c.POINTER(c.c_float)),
                ("n_embedding", c.c_size_t), ("scores", c.POINTER(TokenLogprob)), ("n_scores", c.c_size_t),
                ("scores_stride", c.c_size_t), ("finish", c.c_int32), ("status", c.c_int32), ("error", c.c_char_p),
                ("last", c.c_int32), ("n_generated", c.c_uint32), ("n_prompt", c.c_uint32), ("n_cached", c.c_uint32),
                ("n_drafted", c.c_uint32), ("n_accepted", c.c_uint32), ("seed", c.c_int64)]


STRUCTS: List[Type[Sized]] = [ModelOptions, ModelInfo, Prompt, EngineOptions, Counters, RequestOptions, Event]

_size = c.POINTER(c.c_size_t)
_tokens = c.POINTER(c.c_int32)
_SIGNATURES: Dict[str, Any] = {
    "version": (c.c_char_p,),
    "version_number": (c.c_int32,),
    "last_error": (c.c_char_p,),
    "last_rule": (c.c_int32,),
    "status_name": (c.c_char_p, c.c_int32),
    "rule_name": (c.c_char_p, c.c_int32),
    "finish_name": (c.c_char_p, c.c_int32),
    "struct_size": (c.c_size_t, c.c_char_p),
    "log_set": (c.c_int32, LOG, c.c_void_p, c.c_int32),
    "model_open": (c.c_int32, c.c_char_p, c.POINTER(ModelOptions), c.POINTER(Handle)),
    "model_close": (c.c_int32, Handle),
    "model_get_info": (c.c_int32, Handle, c.POINTER(ModelInfo)),
    "tokenize": (c.c_int32, Handle, c.c_char_p, c.c_size_t, c.c_uint32, _tokens, c.c_size_t, _size),
    "detokenize": (c.c_int32, Handle, _tokens, c.c_size_t, c.c_char_p, c.c_size_t, _size),
    "token_is_end": (c.c_int32, Handle, c.c_int32),
    "render": (c.c_int32, Handle, c.POINTER(Prompt), c.c_char_p, c.c_size_t, _size),
    "engine_open": (c.c_int32, Handle, c.POINTER(EngineOptions), c.POINTER(Handle)),
    "engine_close": (c.c_int32, Handle),
    "engine_get_counters": (c.c_int32, Handle, c.POINTER(Counters)),
    "engine_n_ctx": (c.c_uint32, Handle),
    "submit": (c.c_int32, Handle, c.POINTER(RequestOptions), c.POINTER(Handle)),
    "save": (c.c_int32, Handle, c.POINTER(Prompt), c.c_uint64, c.c_char_p, _size),
    "load": (c.c_int32, Handle, c.c_uint64, c.c_char_p, _tokens, c.c_size_t, _size),
    "request_next": (c.c_int32, Handle, c.POINTER(Event), c.c_int64),
    "request_cancel": (c.c_int32, Handle),
    "request_close": (c.c_int32, Handle),
}


def _open() -> c.CDLL:
    named = os.environ.get("ROCMFORGE_LIBRARY")
    if named:
        return c.CDLL(named)
    found = ctypes.util.find_library("rocmforge")
    for candidate in (found, "librocmforge.so.0", "/usr/local/lib/librocmforge.so.0"):
        try:
            if candidate:
                return c.CDLL(candidate)
        except OSError:
            continue
    raise ImportError("librocmforge.so.0 was not found: install it (make install) or name the file in ROCMFORGE_LIBRARY")


class Library:
    """The functions, without the prefix "rocmforge_"."""

    def __init__(self) -> None:
        library = _open()
        for name, (result, *arguments) in _SIGNATURES.items():
            function = getattr(library, "rocmforge_" + name)
            function.restype = result
            function.argtypes = arguments
            setattr(self, name, function)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


lib = Library()
