"""`inject_into_ssl` and `extract_from_ssl`: idempotent, undone in order, and good for what was imported before."""

from __future__ import annotations

import ssl
import subprocess
import sys
import types
from collections.abc import Iterator
from typing import Any

import pytest
from harness.environment import clean_environment
from harness.environments import Environment
from harness.injection import injection

import truststore
from truststore import _context, _inject
from truststore._context import Genuine

Ours = _context.SSLContext  # not under its own name: an extraction would take that from this module


@pytest.fixture(autouse=True)
def _not_injected() -> Iterator[None]:
    with injection():
        yield


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module that did `from ssl import SSLContext` before."""
    made: Any = types.ModuleType("imported_before")
    made.SSLContext = ssl.SSLContext
    monkeypatch.setitem(sys.modules, made.__name__, made)
    return made


def test_identity() -> None:
    truststore.inject_into_ssl()
    assert ssl.SSLContext is truststore.SSLContext is Ours


def test_each_undoes_its_own() -> None:
    _inject.inject_by_hook()
    truststore.inject_into_ssl()
    truststore.inject_into_ssl()
    truststore.extract_from_ssl()
    assert ssl.SSLContext is Ours, "the hook's injection is left"
    truststore.extract_from_ssl()
    assert ssl.SSLContext is Genuine
    truststore.extract_from_ssl()
    assert ssl.SSLContext is Genuine


def test_the_program_first_and_the_hook_later() -> None:
    truststore.inject_into_ssl()
    _inject.inject_by_hook()
    truststore.extract_from_ssl()
    assert ssl.SSLContext is Ours


def test_modules_that_took_the_class_before_are_served_and_restored(module: Any) -> None:
    truststore.inject_into_ssl()
    assert module.SSLContext is Ours
    truststore.extract_from_ssl()
    assert module.SSLContext is Genuine


def test_modules_that_took_the_class_meanwhile_are_restored(module: Any) -> None:
    truststore.inject_into_ssl()
    module.SSLContext = ssl.SSLContext
    truststore.extract_from_ssl()
    assert module.SSLContext is Genuine


def test_modules_that_took_it_from_truststore_keep_it(monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = types.ModuleType("took_it_from_truststore")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    truststore.inject_into_ssl()
    exec("from truststore import SSLContext", vars(module))
    truststore.extract_from_ssl()
    assert module.SSLContext is Ours


def test_a_context_that_requests_made_when_it_was_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    adapters: Any = types.ModuleType("requests.adapters")
    adapters._preloaded_ssl_context = preloaded = ssl.create_default_context()
    monkeypatch.setitem(sys.modules, "requests.adapters", adapters)
    truststore.inject_into_ssl()
    assert type(adapters._preloaded_ssl_context) is Ours
    truststore.extract_from_ssl()
    assert adapters._preloaded_ssl_context is preloaded


def test_the_genuine_class_is_found_below_another_injector() -> None:
    other = type("SSLContext", (Genuine,), {"__module__": "other_injector"})
    ssl.SSLContext = other  # type: ignore[misc]
    try:
        truststore.inject_into_ssl()
        assert ssl.SSLContext is Ours
        ssl.create_default_context().options |= ssl.OP_NO_COMPRESSION
        truststore.extract_from_ssl()
        assert ssl.SSLContext is other
    finally:
        ssl.SSLContext = Genuine  # type: ignore[misc]


def test_somebody_elses_class_on_top_is_left_alone() -> None:
    truststore.inject_into_ssl()
    ssl.SSLContext = on_top = type("SSLContext", (Ours,), {"__module__": "on_top"})  # type: ignore[misc]
    try:
        truststore.extract_from_ssl()
        assert ssl.SSLContext is on_top
        assert on_top(ssl.PROTOCOL_TLS_CLIENT)._truststore.stock  # type: ignore[attr-defined]
    finally:
        ssl.SSLContext = Genuine  # type: ignore[misc]


def test_a_green_librarys_class_is_combined_with_ours() -> None:
    class Green(Genuine):  # type: ignore[misc]
        def wrap_socket(self, *args: object, **kwargs: object) -> str:
            return "green socket"

    Green.__module__ = "gevent.ssl"
    ssl.SSLContext = Green  # type: ignore[misc]
    try:
        truststore.inject_into_ssl()
        assert ssl.SSLContext is truststore.SSLContext
        context: Any = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        assert isinstance(context, Ours)
        assert context.wrap_socket() == "green socket"
        context.verify_mode = ssl.CERT_REQUIRED
        context.options |= ssl.OP_NO_COMPRESSION
        truststore.extract_from_ssl()
        assert ssl.SSLContext is Green
    finally:
        ssl.SSLContext = Genuine  # type: ignore[misc]


def test_the_package_is_lazy() -> None:
    code = "import sys, truststore; print([m for m in ('ssl', '_ssl', 'ctypes', 'typing', 're') if m in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-I", "-c", code],
        env=clean_environment(TRUSTSTORE_DISABLE="1"),
        capture_output=True,
        text=True,
        check=True,
    )
    stock = subprocess.run(
        [sys.executable, "-I", "-c", code.replace(", truststore", "")],
        env=clean_environment(TRUSTSTORE_DISABLE="1"),
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == stock.stdout


def test_public_names() -> None:
    assert set(truststore.__all__) <= set(dir(truststore))
    assert {name for name in dir(truststore) if not name.startswith("_")} >= {
        "SSLContext",
        "extract_from_ssl",
        "inject_into_ssl",
    }
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        truststore.nothing  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.parametrize(
    "statement",
    [
        "truststore.SSLContext",
        "truststore.inject_into_ssl()",
        "truststore.extract_from_ssl(); truststore.inject_into_ssl()",
    ],
)
def test_a_program_that_asks_truststore_before_it_imports_ssl(statement: str, hooked: Environment) -> None:
    """The hook fires in the middle of our own imports; it must not find them half done and give up."""
    program = (
        f"import sys, truststore; assert 'ssl' not in sys.modules; {statement}\n"
        "import ssl, truststore_autoinject as hook; print(hook.state, hook.failure, ssl.SSLContext)"
    )
    assert hooked.run("-c", program).stdout.split("\n")[0] == "injected None <class 'truststore._context.SSLContext'>"
