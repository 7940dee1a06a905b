"""`python -m truststore` in this process, and a system store for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.injection import injection
from harness.issuing import Issued
from harness.oracle import OracleVerifier
from truststore import _verify
from truststore._backends import openssl
from truststore._backends.openssl import Store


class Outcome:
    """What a command answered: exit code, stdout, stderr."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found


Command = Callable[..., Outcome]


def system_with(roots: list[Issued], path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The system store holds `roots`, and the hook is active. `path` is `native` or `delegated`."""
    file = tmp_path / "system.pem"
    file.write_text("".join(one.pem for one in roots))
    store = Store("a test's system", files=[str(file)], bundle=str(file))
    monkeypatch.setattr(openssl, "_system_store", store)
    verifier = OracleVerifier([one.der for one in roots]) if path == "delegated" else None
    previous = _verify.replace_verifier(verifier)
    try:
        with injection(by_hook=True):
            yield
    finally:
        _verify.replace_verifier(previous)  # type: ignore[arg-type]
