"""Fixtures that every test gets."""

from __future__ import annotations

import pytest
from harness.environment import CERTIFICATE_VARIABLES


@pytest.fixture(autouse=True)
def _no_certificate_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in CERTIFICATE_VARIABLES:
        monkeypatch.delenv(name, raising=False)
