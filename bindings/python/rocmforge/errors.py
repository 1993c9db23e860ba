"""Failures of the library as exceptions."""
from __future__ import annotations

from typing import Dict, Type

from ._native import lib


class Error(Exception):
    """A call failed; str() says what was found and what was expected."""

    def __init__(self, text: str, status: int, rule: int = 0) -> None:
        super().__init__(text)
        self.status = status
        self.status_name: str = lib.status_name(status).decode()
        self.rule: str = lib.rule_name(rule).decode()


class InvalidError(Error, ValueError):
    """A bad file, text or value."""


class UnsupportedError(Error):
    """Well formed, but this build or machine cannot do it."""


class NotFoundError(Error, LookupError):
    """A file, or something in it, is missing."""


class FileError(Error, OSError):
    """Reading or writing failed."""


class NoMemoryError(Error, MemoryError):
    """There is not enough memory."""


class LimitError(Error):
    """A bound was reached: the context, the queue."""


class CancelledError(Error):
    """A callback or a close ended it."""


class MisuseError(Error):
    """A rule of rocmforge.h was broken; `rule` names it."""


TIMEOUT, END = -8, -9
_KINDS: Dict[int, Type[Error]] = {-1: InvalidError, -2: UnsupportedError, -3: NotFoundError, -4: FileError,
                                  -5: NoMemoryError, -6: LimitError, -7: CancelledError, -10: MisuseError}


def error_of(status: int, text: str, rule: int = 0) -> Error:
    return _KINDS.get(status, Error)(text, status, rule)


def check(status: int) -> None:
    """Raises what the thread's last call failed with."""
    if status < 0:
        raise error_of(status, lib.last_error().decode(errors="replace"), lib.last_rule())
