"""The environment variables of everything that is measured."""

from __future__ import annotations

import os

_KEPT = ("HOME", "LANG", "PATH", "TMPDIR")


def clean_environment(**extra: str) -> dict[str, str]:
    """Next to nothing: many machines set SSL_CERT_FILE, PYTHONPATH and the like, which would decide instead of us."""
    return {name: os.environ[name] for name in _KEPT if name in os.environ} | {"PYTHONHASHSEED": "0"} | extra
