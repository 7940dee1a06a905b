"""Puts `SSLContext` into `ssl` and takes it out again: the only module that changes another module.

Two may ask for it, the hook and the program, and each undoes its own: `extract_from_ssl()` takes back the program's
injection first, and where there is none, the hook's. What was imported before an injection is served, too: modules that
hold the genuine class under its own name get ours (and get theirs back), and contexts made before go on working.
"""

from __future__ import annotations

import ssl
import sys
from _thread import RLock

from truststore import _context, _lazy
from truststore._context import COOPERATIVE, Genuine, SSLContext, is_cooperative

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_lock = RLock()
_injected_by_hook = False
_installed: type[SSLContext] | None = None
_replaced: list[tuple[Any, str, object]] = []  # (module, name, what stood there)


def inject_by_hook(report_failure: Callable[[Exception], None] | None = None) -> None:
    """Inject for the startup hook: a context that only loads a file trusts that alone, as in the standard library.

    `report_failure` is told why, should a later context have to be the standard library's all the same.
    """
    global _injected_by_hook
    with _lock:
        _install()
        _context.report_failure = report_failure
        _injected_by_hook = True


def inject_into_ssl() -> None:
    """Let every `ssl.SSLContext` of this process trust the system store besides what is loaded on it.

    Idempotent. Contexts made before go on as they are. Raises nothing that importing this package has not raised.
    """
    with _lock:
        _install()
        _context.injected_by_program = True


def extract_from_ssl() -> None:
    """Undo `inject_into_ssl()`, or, where the program has not called it, the injection that came with the environment.

    Idempotent. Afterwards `ssl` is as it was; contexts made meanwhile go on as they are.
    """
    global _injected_by_hook
    with _lock:
        if _context.injected_by_program:
            _context.injected_by_program = False
        else:
            _injected_by_hook = False
        if not _injected_by_hook:
            _uninstall()


def current_class() -> type[SSLContext]:
    """`truststore.SSLContext`: the class, or, where gevent or eventlet put a subclass of it into `ssl`, that one."""
    current = ssl.SSLContext
    if current is _installed or (is_cooperative(current) and issubclass(current, SSLContext)):
        return current  # type: ignore[return-value]
    return SSLContext


def _install() -> None:
    global _installed
    current = ssl.SSLContext
    if not issubclass(current, SSLContext):
        installed = _combined(current) if is_cooperative(current) else SSLContext
        _replace(current, installed)
        _replaced.append((ssl, "SSLContext", current))
        ssl.SSLContext = _installed = installed  # type: ignore[misc]
    _context.injected = True


def _uninstall() -> None:
    global _installed
    _context.injected = False
    for module, name, previous in reversed(_replaced):
        if _installed is not None and (name != "SSLContext" or vars(module).get(name) is _installed):
            setattr(module, name, previous)
    _replaced.clear()
    if _installed is not None and not issubclass(ssl.SSLContext, SSLContext):
        # Those who took the class out of `ssl` meanwhile; not those who took it from us.
        for module in _holders_of(_installed):
            module.SSLContext = ssl.SSLContext
    _installed = None


def _replace(current: type, installed: type[SSLContext]) -> None:
    """Serve the modules that took the class out of `ssl` before. Only what is imported is looked at."""
    for module in _holders_of(current) + (_holders_of(Genuine) if current is not Genuine else []):
        _replaced.append((module, "SSLContext", module.SSLContext))
        module.SSLContext = installed
    # requests 2.32.0 to 2.32.2 made a context when it was imported, and uses it for every verified connection.
    adapters: Any = sys.modules.get("requests.adapters")
    preloaded = getattr(adapters, "_preloaded_ssl_context", None)
    if preloaded is not None and not isinstance(preloaded, SSLContext):
        context = installed(ssl.PROTOCOL_TLS_CLIENT)
        context.load_default_certs()
        _replaced.append((adapters, "_preloaded_ssl_context", preloaded))
        adapters._preloaded_ssl_context = context


def _holders_of(cls: type) -> list[Any]:
    """The imported modules whose global `SSLContext` is `cls`, apart from those that need the very class they have."""
    holders = []
    for name, module in list(sys.modules.items()):
        names = getattr(module, "__dict__", None)
        if not isinstance(names, dict) or names.get("SSLContext") is not cls:
            continue
        package = name.partition(".")[0]
        if name == "ssl" or package in ("truststore", *COOPERATIVE) or name in _lazy.asking_modules():
            continue
        holders.append(module)
    return holders


def _combined(cooperative: type) -> type[SSLContext]:
    """`SSLContext` with the sockets of `cooperative`: (ours, our setters, theirs, genuine) is the resolution order."""
    names = {"__module__": SSLContext.__module__, "__doc__": SSLContext.__doc__, "_stands_for_the_genuine_class": True}
    return _context._ContextType("SSLContext", (SSLContext, cooperative), names)  # type: ignore[return-value]
