"""The TRUSTSTORE_* variables, read once, when `ssl` is imported. (SSL_CERT_FILE and SSL_CERT_DIR: `_backends.openssl`.)

`TRUSTSTORE_DISABLE` belongs to the startup module, which must not import anything.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class Settings:
    """What the administrator set. `extra_ca_certs` are the paths in TRUSTSTORE_EXTRA_CA_CERTS, in order."""

    __slots__ = ("debug", "extra_ca_certs", "keep_bundled", "strict")

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.debug = _is_set(environ, "TRUSTSTORE_DEBUG")
        self.keep_bundled = _is_set(environ, "TRUSTSTORE_KEEP_BUNDLED")
        self.strict = _is_set(environ, "TRUSTSTORE_STRICT")
        paths = environ.get("TRUSTSTORE_EXTRA_CA_CERTS", "").split(os.pathsep)
        self.extra_ca_certs = tuple(path for path in paths if path)


def _is_set(environ: Mapping[str, str], name: str) -> bool:
    # The same words as in truststore_autoinject, which this module must not depend on.
    return environ.get(name, "").strip().lower() in ("1", "true", "yes", "on")


settings = Settings(os.environ)

# SSL_CERT_FILE and SSL_CERT_DIR as the process was started with them. Without the hook nobody has looked before now.
inherited: Mapping[str, str | None] = getattr(sys.modules.get("truststore_autoinject"), "inherited", None) or {
    name: os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR")
}


def debug(message: str) -> None:
    """One line about one decision, where TRUSTSTORE_DEBUG asks for it."""
    if settings.debug and sys.stderr is not None:
        try:
            sys.stderr.write(f"truststore: {message}\n")
        except Exception:  # a stderr that is closed, or busy ("reentrant call"), must not decide about a connection
            return
