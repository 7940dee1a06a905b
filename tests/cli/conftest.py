"""A system store with one root, on both ways to a verdict, and `python -m truststore` in this process."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from harness.injection import injection
from harness.issuing import Issued, intermediate, root
from harness.oracle import OracleVerifier

from truststore import _verify
from truststore._backends import openssl
from truststore._backends.openssl import Store
from truststore._cli import main


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


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs `python -m truststore` with these arguments, in this process."""

    def run(*arguments: object) -> Outcome:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def company_root() -> Issued:
    """The root that the system store holds."""
    return root("Company Root", organization="Example Company")


@pytest.fixture(scope="session")
def company_ca(company_root: Issued) -> Issued:
    """An intermediate below it."""
    return intermediate(company_root, "Company CA 1", organization="Example Company")


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


@pytest.fixture(params=["native", "delegated"])
def system(
    request: pytest.FixtureRequest, company_root: Issued, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """The system store holds `company_root` alone, and the hook is active: by OpenSSL, and by a verifier."""
    for _ in system_with([company_root], request.param, tmp_path, monkeypatch):
        yield request.param


@pytest.fixture
def native(company_root: Issued, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The same, by OpenSSL only."""
    yield from system_with([company_root], "native", tmp_path, monkeypatch)
