"""Runs at every interpreter start, from `truststore_autoinject.pth` or `.start`: see `activate`.

It imports `sys`, `os` and `_thread`, which every Python has loaded by then, and nothing else. All that it does is to
put a finder in front of `sys.meta_path`; the finder waits until some program imports `ssl`, and only then lets
`truststore._inject` replace `ssl.SSLContext`. A program without TLS pays for this module alone.

It never raises and, unless TRUSTSTORE_DEBUG is set, never prints. Whatever goes wrong, `ssl` stays as the standard
library made it, which still verifies; `python -m truststore status` tells the reason, kept here in `failure`.

The syntax is that of Python 2.7 and later: an interpreter that is too old for the package must start all the same.
"""

import os
import sys

try:
    from _thread import get_ident
except ImportError:  # Python 2, where activate() stops at the version
    get_ident = None  # type: ignore[assignment]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any  # noqa: F401  # in type comments

# What became of the hook: "idle" (activate() was never called), "disabled", "unsupported", "waiting" (for `import ssl`
# to happen), "injected" or "failed".
state = "idle"
failure = None  # type: BaseException | None

# What the process was started with; later the program may have set them itself, which is a decision of its own.
inherited = {name: os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR")}


def is_set(name):
    # type: (str) -> bool
    """Whether the environment variable `name` says 1, true, yes or on. Looked at under -E and -I, too."""
    return os.environ.get(name, "").strip().lower() in ("1", "true", "yes", "on")


def activate():
    # type: () -> None
    """Inject into `ssl` now if it is imported, else as soon as it is. Safe to call any number of times."""
    try:
        if is_set("TRUSTSTORE_DISABLE"):
            _enter("disabled", "disabled by TRUSTSTORE_DISABLE=" + os.environ["TRUSTSTORE_DISABLE"])
        elif sys.version_info < (3, 10):
            _enter("unsupported", "Python 3.10 or later is needed; TLS verification is left to the standard library")
        elif "ssl" in sys.modules:
            _inject()
        elif _finder not in sys.meta_path:
            sys.meta_path.insert(0, _finder)
            _enter("waiting")
    except Exception as error:
        _failed(error)


class _Finder(object):
    """Finds `ssl` as the other finders do, with a loader that injects once the module has been executed.

    It stays in place until then: a mere `importlib.util.find_spec("ssl")` must not use it up.
    """

    def __init__(self):
        # type: () -> None
        self._searching = set()  # type: set[int]  # threads; another lazy finder may ask us back

    def find_spec(self, name, path=None, target=None):
        # type: (str, Any, Any) -> Any
        if name != "ssl" or get_ident() in self._searching:
            return None
        self._searching.add(get_ident())
        try:
            spec = _find_without(self, name, path, target)
        finally:
            self._searching.discard(get_ident())
        if spec is not None and hasattr(spec.loader, "exec_module"):
            spec.loader = _Loader(spec.loader)
        return spec


def _find_without(skipped, name, path, target):
    # type: (object, str, Any, Any) -> Any
    for finder in list(sys.meta_path):
        find_spec = None if finder is skipped else getattr(finder, "find_spec", None)
        spec = find_spec(name, path, target) if find_spec is not None else None
        if spec is not None:
            return spec
    return None


class _Loader(object):
    """Stands in for the genuine loader of `ssl` and leaves no trace of itself in the module."""

    def __init__(self, genuine):
        # type: (Any) -> None
        self._genuine = genuine

    def __getattr__(self, name):
        # type: (str) -> Any
        if name == "_genuine":  # not set yet, when somebody copies this object
            raise AttributeError(name)
        return getattr(self._genuine, name)

    def create_module(self, spec):
        # type: (Any) -> Any
        return self._genuine.create_module(spec)

    def exec_module(self, module):
        # type: (Any) -> None
        module.__loader__ = module.__spec__.loader = self._genuine
        before = {name: os.environ.get(name) for name in inherited}
        try:
            self._genuine.exec_module(module)
        except Exception as error:  # no _ssl: the program sees it as without us, and the finder goes on waiting
            _failed(error)
            raise
        for name in inherited:  # cx_Freeze's copy of `ssl` sets one: no decision of the program either
            if os.environ.get(name) != before[name]:
                inherited[name] = os.environ.get(name)
        # Still under the import lock of `ssl`: threads that import it meanwhile wait for the injection too.
        try:
            sys.meta_path.remove(_finder)
        except ValueError:
            pass
        _inject()


_finder = _Finder()


def _inject():
    # type: () -> None
    try:
        from truststore._inject import inject_by_hook

        inject_by_hook(_failed)
        _enter("injected", "injected into ssl")
    except Exception as error:
        _failed(error)


def _failed(error):
    # type: (BaseException) -> None
    _enter("failed", "not injected, TLS verification is the standard library's: " + repr(error), error)


def _enter(new_state, message="", error=None):
    # type: (str, str, BaseException | None) -> None
    """Keep what became of the hook, and tell it once: `site` may call `activate` twice, and does so in a venv."""
    global state, failure
    news = new_state != state
    state, failure = new_state, error
    if news and message:
        _debug(message)


def _debug(message):
    # type: (str) -> None
    if is_set("TRUSTSTORE_DEBUG"):
        try:
            sys.stderr.write("truststore: " + message + "\n")
        except Exception:  # a closed or missing stderr is no reason to fail
            pass
