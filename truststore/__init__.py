"""Verify TLS peers against the operating system's trust store.

`SSLContext`, `inject_into_ssl` and `extract_from_ssl` are resolved on first use, so that importing this package imports
neither `ssl` nor anything else. The syntax of this file is that of Python 2.7 and later, so that an old interpreter
can say what it needs.
"""

import sys as _sys

if _sys.version_info < (3, 10):
    raise ImportError(
        "truststore needs Python 3.10 or later; this is Python %d.%d (%s). "
        "Use a newer Python, or uninstall truststore-auto here." % (_sys.version_info[:2] + (_sys.executable,))
    )

TYPE_CHECKING = False
if TYPE_CHECKING:
    from truststore._context import SSLContext
    from truststore._inject import extract_from_ssl, inject_into_ssl
    from truststore._version import __version__
else:  # or a type checker would let any name pass
    from truststore._lazy import __dir__, __getattr__  # noqa: F401

__all__ = ["SSLContext", "__version__", "extract_from_ssl", "inject_into_ssl"]
