"""Other packages that put themselves between Python and its trust store, and the command that mends each."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import sys

from truststore import _bundles
from truststore._commands import roots

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


class Conflict:
    """`subject` is in the way: `effect` says how, `remedy` is a command. `serious`: it may keep us from working."""

    __slots__ = ("effect", "remedy", "serious", "subject")

    def __init__(self, subject: str, effect: str, remedy: str, serious: bool = True) -> None:
        self.subject = subject
        self.effect = effect
        self.remedy = remedy
        self.serious = serious


# Distributions that change what TLS in Python trusts, what they do beside us, and whether that does harm. From reading
# and running each of them; see docs/how-to/diagnose.md.
_DISTRIBUTIONS = (
    ("pip-system-certs", "replaces ssl.SSLContext by pip's copy of truststore at every start", True),
    ("auto-truststore", "replaces ssl.SSLContext a second time; pip then ends in RecursionError", True),
    ("python-certifi-win32", "replaces certifi's bundle by one that it writes itself", True),
    ("certifi-win32", "replaces certifi's bundle by one that it writes itself", True),
    ("certifi-linux", "lets certifi.where() name the system's bundle: not needed any more", False),
    ("certifi-system-store", "stands in for certifi: not needed any more", False),
    ("certifi-system-store-wrapper", "lets certifi.where() name a file that it writes at every import", True),
    ("httpx-system-certs", "gives httpx a context of its own at every start: not needed any more", False),
    ("robocorp-truststore", "installs the same folder `truststore` as we do", True),
)


def found() -> Iterator[Conflict]:
    """Everything that is in the way in this interpreter. Nothing is imported or changed for it."""
    yield from _same_folder()
    for name, effect, serious in _DISTRIBUTIONS:
        version = _version(name)
        if version is not None:
            yield Conflict(f"{name} {version}", effect, _pip(f"uninstall -y {name}"), serious)
    yield from _certifi()


def _same_folder() -> Iterator[Conflict]:
    """The public `truststore` installs the same folder; whoever was installed last owns its `__init__.py`."""
    version = _version("truststore")
    package = sys.modules.get("truststore")
    ours = getattr(getattr(package, "__getattr__", None), "__module__", None) == "truststore._lazy"
    mend = _pip("install --force-reinstall --no-deps truststore-auto")
    if not ours:
        yield Conflict(
            f"truststore/__init__.py ({getattr(package, '__file__', None) or 'missing'}) is not ours",
            "`import truststore` gives another package's classes; the hook does not need it and works",
            mend,
        )
    elif version is not None:
        yield Conflict(
            f"truststore {version}",
            "installs the same folder as truststore-auto; ours is in place. Uninstalling it takes files of ours along",
            f"nothing now; after uninstalling truststore: {mend}",
            serious=False,
        )


def _certifi() -> Iterator[Conflict]:
    bundle = roots.public_bundle()
    if bundle is not None and _bundles.judge(bundle.path) == _bundles.CHANGED:
        name = bundle.package if bundle.package == "certifi" else "pip"
        yield Conflict(
            f"{bundle.path} is not as its package shipped it",
            "somebody changed this bundle: programs that load it trust it besides the system store",
            _pip(f"install --force-reinstall --no-deps {name}"),
            serious=False,
        )
    core = sys.modules.get("certifi.core")
    where = getattr(sys.modules.get("certifi"), "where", None)
    if core is not None and getattr(where, "__module__", "certifi.core") != "certifi.core":
        yield Conflict(
            f"certifi.where() is that of {where.__module__}",
            "somebody patched certifi in this process",
            "find out who imports that module, and remove it",
        )


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _pip(arguments: str) -> str:
    """A command line for this interpreter's packages; without pip (uv's environments), uv's."""
    python = f'"{sys.executable}"' if " " in sys.executable else sys.executable
    if importlib.util.find_spec("pip") is not None:
        return f"{python} -m pip {arguments}"
    return f"uv pip {arguments.replace('-y ', '')} --python {python}"


def startup_files() -> list[str]:
    """Startup files that import something, of any package, in the directories that `site` reads."""
    import site

    directories = [*site.getsitepackages(), *([site.getusersitepackages()] if site.ENABLE_USER_SITE else [])]
    names = []
    for directory in dict.fromkeys(directories):
        try:
            entries = sorted(os.listdir(directory))
        except OSError:
            continue
        names += [os.path.join(directory, name) for name in entries if name.endswith((".pth", ".start"))]
    return names
