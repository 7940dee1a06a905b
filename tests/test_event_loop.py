"""Files are read where the standard library reads them, and unseen by those who watch an event loop."""

from __future__ import annotations

import asyncio
import builtins
import os
import ssl
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import certifi
import pytest

from truststore import _bundles, _environment, _trust
from truststore._backends import openssl

pytestmark = pytest.mark.usefixtures("hook")


class Blocking(Exception):
    """What the watcher raises."""


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> None:
    """As blockbuster does, let what reads files raise in a thread that runs an event loop. Nothing was read before."""

    def watched(function: Callable[..., object]) -> Callable[..., object]:
        def call(*args: Any, **kwargs: Any) -> object:
            if asyncio._get_running_loop() is not None:
                raise Blocking(function.__name__)
            return function(*args, **kwargs)

        return call

    for module, names in ((os, ("access", "listdir", "lstat", "readlink", "stat")), (builtins, ("open",))):
        for name in names:
            monkeypatch.setattr(module, name, watched(getattr(module, name)))
    monkeypatch.setattr(openssl, "_system_store", None)
    monkeypatch.setattr(_bundles, "_judged", {})


def handshake_starts(context: ssl.SSLContext) -> None:
    context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="localhost")


def new_context(**locations: object) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if locations:
        context.load_verify_locations(**locations)  # type: ignore[arg-type]
    return context


def run_in_loop(function: Callable[[], object]) -> None:
    """Run `function` where a loop runs, which must be the running one afterwards, too."""

    async def main() -> None:
        with pytest.raises(Blocking):
            os.stat(".")
        loop = asyncio.get_running_loop()
        try:
            function()
        finally:
            assert asyncio.get_running_loop() is loop

    asyncio.run(main())


@pytest.mark.usefixtures("watched")
@pytest.mark.parametrize(
    "new",
    [
        new_context,
        ssl.create_default_context,
        lambda: ssl.create_default_context(cafile=certifi.where()),
        lambda: new_context(capath=os.path.dirname(certifi.where())),
    ],
    ids=["nothing loaded", "default certificates", "a vendored bundle", "a directory"],
)
def test_who_watches_the_loop_sees_no_file_being_read(new: Callable[[], ssl.SSLContext]) -> None:
    run_in_loop(lambda: handshake_starts(new()))


@pytest.mark.usefixtures("watched")
def test_nor_those_that_the_variables_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_trust, "settings", _environment.Settings({"TRUSTSTORE_EXTRA_CA_CERTS": certifi.where()}))
    monkeypatch.setenv("SSL_CERT_FILE", certifi.where())
    run_in_loop(lambda: handshake_starts(ssl.create_default_context()))


@pytest.mark.usefixtures("watched")
def test_the_loop_is_back_after_a_failure(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        run_in_loop(lambda: new_context(cafile=str(tmp_path / "missing.pem")))


def test_the_store_is_looked_for_when_the_default_certificates_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the standard library, the first connection finds it ready: it may be one of an event loop."""
    monkeypatch.setattr(openssl, "_system_store", None)
    context = ssl.create_default_context()

    def find_store(*args: object) -> None:
        raise AssertionError("the store was looked for at the connection")

    monkeypatch.setattr(openssl, "find_store", find_store)
    handshake_starts(context)


def test_asyncio_may_be_half_imported_by_another_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    for half in (None, types.ModuleType("asyncio.events")):
        monkeypatch.setitem(sys.modules, "asyncio.events", half)  # type: ignore[arg-type]
        handshake_starts(ssl.create_default_context())
