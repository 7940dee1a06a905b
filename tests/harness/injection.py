"""Injections into `ssl` that a test can rely on: the process may run with the hook active or without."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator

import truststore
from truststore import _context, _inject
from truststore._context import Genuine


@contextlib.contextmanager
def injection(*, by_hook: bool = False, by_program: bool = False) -> Iterator[None]:
    """`ssl` as after just these injections; afterwards as it was before."""
    was_by_hook = _inject._injected_by_hook
    was_by_program = _context.injected_by_program
    _extract_all()
    try:
        if by_hook:
            _inject.inject_by_hook()
        if by_program:
            truststore.inject_into_ssl()
        yield
    finally:
        _extract_all()
        if was_by_hook:
            _inject.inject_by_hook()
        if was_by_program:
            truststore.inject_into_ssl()


def _extract_all() -> None:
    truststore.extract_from_ssl()
    truststore.extract_from_ssl()
    assert ssl.SSLContext is Genuine
