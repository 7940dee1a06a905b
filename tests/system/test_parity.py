"""CPython's own tests of everything that uses TLS pass with the hook as they do without it."""

from __future__ import annotations

import pathlib

import pytest
from harness.environments import NewEnvironment
from harness.regrtest import Side, lost_tests, run_side_by_side

pytestmark = pytest.mark.system

MODULES = [
    "test.test_ssl",
    "test.test_httplib",
    "test.test_urllib2_localnet",
    "test.test_ftplib",
    "test.test_poplib",
    "test.test_imaplib",
    "test.test_asyncio.test_sslproto",
    "test.test_asyncio.test_events",
]


@pytest.mark.timeout(600)
def test_the_tests_of_cpython_pass_with_the_hook(
    python: pathlib.Path, new_environment: NewEnvironment, tmp_path: pathlib.Path
) -> None:
    environment = new_environment(python=python)
    stock = Side("stock", new_environment(hooked=False, python=python))
    active = Side("hooked", environment)
    disabled = Side("disabled", environment, TRUSTSTORE_DISABLE="1")
    run_side_by_side([stock, active, disabled], MODULES, tmp_path, timeout=240)
    assert active.context_class == "truststore._context"
    assert {stock.context_class, disabled.context_class} == {"ssl"}
    assert len(stock.passed) > 700
    lost = lost_tests(stock, [active, disabled], tmp_path, timeout=240)
    counts = ", ".join(f"{side.name} {len(side.passed)} of {len(side.outcomes)}" for side in (stock, active, disabled))
    print(f"passed: {counts}; failed without us: {sorted(stock.failed)}")
    assert lost == {}
