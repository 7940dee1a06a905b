"""`worker.py` where the system verifies: on the double of macOS' frameworks, or in Windows' Python under Wine.

`python -S system_worker.py`: without `site` there is no hook and no package, until a task names the folder of one. So
our package and public truststore are used in the same way, by a program that makes a `truststore.SSLContext`.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import pathlib
import platform
import ssl
import sys

import worker  # beside this file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# Who decides: set by `take`.
_context_class: type[ssl.SSLContext] = ssl.SSLContext
_judge: Callable[[list[bytes]], None] | None = None  # one verification without a handshake

_until_the_end = contextlib.ExitStack()


def interpreter() -> dict[str, object]:
    """This Python in words."""
    openssl = " ".join(ssl.OPENSSL_VERSION.split()[:2])
    return {"name": f"{platform.python_implementation()} {platform.python_version()} with {openssl} on {sys.platform}"}


def become_a_mac(libraries: dict[str, str], root: str) -> dict[str, object]:
    """Let the frameworks' paths lead to the double, which knows `root` (a PEM file) as the system's only anchor."""
    genuine = ctypes.CDLL

    def load(name: Any, *args: Any, **kwargs: Any) -> ctypes.CDLL:
        return genuine(libraries.get(name, name), *args, **kwargs)

    ctypes.CDLL = load  # type: ignore[assignment, misc]
    platform.mac_ver = lambda *_: ("15.0", ("", "", ""), "arm64")  # type: ignore[assignment]
    platform.system = lambda: "Darwin"
    double = load("/System/Library/Frameworks/Security.framework/Security")
    der = _ders(root)[0]
    if not double.double_add_system_anchor(der, ctypes.c_long(len(der))):
        raise RuntimeError("the double does not take the root")
    return {}


def trust_in_windows(tests: str, root: str) -> dict[str, object]:
    """Have `root` in the ROOT store of the Wine prefix until this process ends."""
    sys.path.insert(0, tests)
    from harness import windows_store

    if not windows_store.is_wine():
        raise RuntimeError("this is no Wine: the store of a real Windows is left alone")
    _until_the_end.enter_context(windows_store.trusted_by_user(_ders(root)[0]))
    return {}


def take(whose: str, folder: str) -> dict[str, object]:
    """Use the package `truststore` in `folder`: `whose` is "ours" or "public"."""
    global _context_class, _judge
    sys.path.insert(0, folder)
    import truststore

    on_a_mac = platform.system() == "Darwin"
    _context_class = truststore.SSLContext
    if whose == "ours":
        from truststore import _verify

        if on_a_mac:
            from truststore._backends.macos import MacOSVerifier

            _verify.replace_verifier(MacOSVerifier())
        verifier, options = _verify.system_verifier(), _verify.Options("localhost")
        if verifier is None:
            raise RuntimeError("no verifier")
        _judge = functools.partial(verifier.verify, options=options)
    else:
        from truststore import _api

        context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        _judge = functools.partial(_api._verify_peercerts_impl, context._ctx, server_hostname="localhost")
    return {}


def refuses_others(pem: str, load: str | None = None) -> dict[str, object]:
    """Raises unless a server of another name is refused: what lets everybody pass need not be measured."""
    context = _context(load)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(to_client, to_server, server_hostname="other.example")
    other = worker.server_context(pem).wrap_bio(to_server, to_client, server_side=True)
    for _ in range(5):
        for side in (other, client):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError as error:
                return {"refusal": str(error)}
    raise RuntimeError("a server of another name was accepted")


def system_handshakes(
    pem: str, fresh: bool, count: int, load: str | None = None, root: str | None = None, load_default: bool = False
) -> dict[str, object]:
    """`count` handshakes, each on a `fresh` context or all on one. What it loads: the files `load` and `root`, and the
    default certificates."""
    server, watch = worker.server_context(pem), worker.Stopwatch()
    context = _context(load, root, load_default)
    worker.handshake(context, server)
    for _ in range(count):
        with watch:
            worker.handshake(_context(load, root, load_default) if fresh else context, server)
    return watch.result()


def verdicts(pem: str, count: int) -> dict[str, object]:
    """`count` verifications of the chain in `pem`, without a handshake."""
    chain, watch = _ders(pem), worker.Stopwatch()
    if _judge is None:
        raise RuntimeError("OpenSSL verifies within the handshake only")
    for _ in range(count):
        with watch:
            _judge(chain)
    return watch.result()


def _context(load: str | None, root: str | None = None, load_default: bool = False) -> ssl.SSLContext:
    context = _context_class(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_3
    for file in (file for file in (load, root) if file is not None):
        context.load_verify_locations(file)
    if load_default:
        context.load_default_certs()
    return context


def _ders(pem: str) -> list[bytes]:
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    blocks = pathlib.Path(pem).read_text().split(begin)[1:]
    return [ssl.PEM_cert_to_DER_cert(begin + block.partition(end)[0] + end) for block in blocks]


worker.TASKS.update(
    {
        task.__name__: task
        for task in (become_a_mac, interpreter, refuses_others, system_handshakes, take, trust_in_windows, verdicts)
    }
)

if __name__ == "__main__":
    with _until_the_end:
        worker.main()
