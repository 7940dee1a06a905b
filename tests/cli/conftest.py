"""A system store with one root, on both ways to a verdict, and the command line in this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.command_line import Command, Outcome, system_with
from harness.issuing import Issued, intermediate, root

from truststore._cli import main

_PROXIES = ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "all_proxy", "https_proxy", "http_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in _PROXIES:
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
