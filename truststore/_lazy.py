"""The public names, resolved when somebody asks for them (PEP 562), and a memory of who asked for the class.

Under the hook `ssl.SSLContext is truststore.SSLContext`, so a program that means the system store *and* a CA of its own
(it took `truststore.SSLContext`) and one that pins a CA (it took `ssl.SSLContext`) use the same class. They are told
apart by where a context is constructed, see `took_the_class`.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

_NAMES = ("SSLContext", "__version__", "extract_from_ssl", "inject_into_ssl")

# Module names, and (code, line) pairs, that resolved `truststore.SSLContext`.
_asking_modules: set[str] = set()
_asking_lines: set[tuple[object, int]] = set()


def __getattr__(name: str) -> object:
    if name not in _NAMES:
        raise AttributeError(f"module 'truststore' has no attribute {name!r}")
    if name == "__version__":
        from truststore import _version

        return _version.__version__
    # First of all: if the hook waits for `ssl`, it imports the modules below itself, and must not find them half done.
    import ssl  # noqa: F401

    if name != "SSLContext":
        from truststore import _inject

        return getattr(_inject, name)
    frame = sys._getframe(1)
    _asking_modules.add(frame.f_globals.get("__name__", ""))
    _asking_lines.add((frame.f_code, frame.f_lineno))
    from truststore import _inject

    return _inject.current_class()


def __dir__() -> list[str]:
    return sorted({*vars(sys.modules["truststore"]), *_NAMES})


def asking_modules() -> frozenset[str]:
    """The names of the modules that took the class from `truststore`."""
    return frozenset(_asking_modules)


def took_the_class(frame: FrameType, cls: type) -> bool:
    """Whether the code that constructs `cls` in `frame` got it from `truststore`.

    True if the module of `frame` asked `truststore` for the class and either does so on this very line
    (`truststore.SSLContext(...)`) or holds it under a name of its own (`from truststore import SSLContext`), or if
    `cls` is a subclass that such a module defined. Merely comparing `ssl.SSLContext is truststore.SSLContext` does not
    count. A wrong no makes a context trust too little, never too much.
    """
    if not _asking_modules:
        return False
    if cls.__module__ != "truststore._context":
        subclasses = [subclass.__module__ for subclass in cls.__mro__]
        return not _asking_modules.isdisjoint(subclasses[: subclasses.index("truststore._context")])
    if frame.f_globals.get("__name__", "") not in _asking_modules:
        return False
    if (frame.f_code, frame.f_lineno) in _asking_lines:
        return True
    # pytest's rewritten asserts keep operands in locals named "@...": those are comparisons, too.
    return any(
        value is cls and not name.startswith("@")
        for names in (frame.f_locals, frame.f_globals)
        for name, value in list(names.items())
    )
