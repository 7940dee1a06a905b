"""CPython's own tests of `ssl` give with the hook what they give without. (All its TLS tests: `tests/system`.)"""

from __future__ import annotations

import pathlib

import pytest
from harness.environments import Environment
from harness.regrtest import Side, lost_tests, run_side_by_side

MODULES = ["test.test_ssl", "test.test_asyncio.test_sslproto"]


@pytest.mark.timeout(300)
def test_the_tests_of_ssl_pass_with_the_hook(hooked: Environment, stock: Environment, tmp_path: pathlib.Path) -> None:
    without, active = Side("stock", stock), Side("hooked", hooked)
    run_side_by_side([without, active], MODULES, tmp_path, timeout=240)
    assert (without.context_class, active.context_class) == ("ssl", "truststore._context")
    assert len(without.passed) > 150
    assert lost_tests(without, [active], tmp_path, timeout=60) == {}
