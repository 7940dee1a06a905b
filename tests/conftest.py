"""Fixtures that every test gets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from harness.environment import CERTIFICATE_VARIABLES
from harness.injection import injection
from harness.oracle import OracleVerifier
from harness.pki import Authority

from truststore import _verify
from truststore._backends import openssl
from truststore._backends.openssl import Store

pytest_plugins = ["harness.environments", "harness.private_system"]


@pytest.fixture(autouse=True)
def _no_certificate_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in CERTIFICATE_VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def system_ca(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The company's CA, for tests in which the system store knows it."""
    return Authority(tmp_path_factory.mktemp("system"), "system")


@pytest.fixture(scope="session")
def private_ca(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A CA that the system store does not know, and some program pins."""
    return Authority(tmp_path_factory.mktemp("private"), "private")


@pytest.fixture
def system_store(system_ca: Authority, monkeypatch: pytest.MonkeyPatch) -> Store:
    """In this process, OpenSSL's system store holds `system_ca` alone."""
    store = Store("test", files=[str(system_ca.file)], bundle=str(system_ca.file))
    monkeypatch.setattr(openssl, "_system_store", store)
    return store


@pytest.fixture
def hook() -> Iterator[None]:
    """The hook's injection is active, and nothing else; afterwards the process is as before."""
    with injection(by_hook=True):
        yield


@pytest.fixture
def delegated(system_ca: Authority) -> Iterator[OracleVerifier]:
    """In this process, a verifier decides, whose system store holds `system_ca` alone."""
    verifier = OracleVerifier([system_ca.der])
    previous = _verify.replace_verifier(verifier)
    yield verifier
    _verify.replace_verifier(previous)  # type: ignore[arg-type]
