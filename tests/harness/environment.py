"""The environment that programs under test get, and what happens where a tool is missing."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

# Every variable by which a machine may steer certificates. Tests clear them all: many machines set some.
CERTIFICATE_VARIABLES = (
    "AWS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "HTTPLIB2_CA_CERTS",
    "NODE_EXTRA_CA_CERTS",
    "PIP_CERT",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TRUSTSTORE_DEBUG",
    "TRUSTSTORE_DISABLE",
    "TRUSTSTORE_EXTRA_CA_CERTS",
    "TRUSTSTORE_KEEP_BUNDLED",
    "TRUSTSTORE_STRICT",
)


def clean_environment(**extra: str) -> dict[str, str]:
    """A copy of this process's environment without certificate or Python variables, plus `extra`."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in CERTIFICATE_VARIABLES and not name.startswith(("PYTHON", "COV_"))
    }
    return kept | extra


def missing(reason: str) -> NoReturn:
    """A test cannot run here: skip and say why; in CI, where everything is installed, fail."""
    if os.environ.get("CI"):
        pytest.fail(f"missing in CI: {reason}")
    pytest.skip(reason)
