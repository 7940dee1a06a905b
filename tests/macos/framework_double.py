"""Builds, loads and controls the double of CoreFoundation and Security.framework (in `double/`, written in C).

It can be used without pytest:

    directory = build(pathlib.Path("/some/empty/directory"))
    with Double(directory).installed() as double:
        double.trust_as_system(root_der)
        MacOSVerifier().verify([leaf_der, intermediate_der], Options("name.example"))
        assert not double.violations() and not double.live()
"""

from __future__ import annotations

import contextlib
import ctypes
import enum
import os
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Iterator

from truststore._ffi import corefoundation, security

SOURCES = pathlib.Path(__file__).parent / "double"
# Written out once more: a wrong path in the bindings must not find the double either.
COREFOUNDATION_PATH = "/System/Library/Frameworks/CoreFoundation.framework/CoreFoundation"
SECURITY_PATH = "/System/Library/Frameworks/Security.framework/Security"

COREFOUNDATION = ("objects.c", "corefoundation.c")
SECURITY = ("certificates.c", "names.c", "ocsp.c", "store.c", "verdict.c", "trust.c")

# A directory where the double has been built already; a comma-separated list for -fsanitize.
PREBUILT = "TRUSTSTORE_TEST_DOUBLE"
SANITIZE = "TRUSTSTORE_TEST_SANITIZE"

_TEXT_SIZE = 1 << 20


class MissingTool(Exception):
    """The double cannot be built here."""


class Setting(enum.IntEnum):
    """What somebody decided about a certificate in Keychain Access; as in `security.h`."""

    TRUST_ALWAYS = 0
    TRUST_FOR_TLS = 1
    TRUST_FOR_MAIL = 2
    DENY = 3
    DENY_FOR_TLS = 4
    DENY_FOR_MAIL = 5
    UNSPECIFIED = 6
    TRUST_FOR_ONE_HOST = 7


def build(directory: pathlib.Path) -> pathlib.Path:
    """Compile the double into `directory`: for this macOS, and one for a macOS before 10.14.

    Raises `MissingTool` without gcc or libcrypto's headers, and `RuntimeError` with the compiler's words if the
    sources do not compile.
    """
    if sys.platform != "linux":
        raise MissingTool("it is for Linux")
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise MissingTool("no C compiler")
    flags = ["-std=gnu11", "-O1", "-g", "-fPIC", "-shared", "-pthread", "-Wall", "-Wextra", "-Werror"]
    if os.environ.get(SANITIZE):
        flags += [f"-fsanitize={os.environ[SANITIZE]}", "-fno-omit-frame-pointer", "-fno-sanitize-recover=undefined"]
    if subprocess.run(
        [compiler, "-E", "-x", "c", "-"], input=b"#include <openssl/ocsp.h>\n", capture_output=True
    ).returncode:
        raise MissingTool("no headers of libcrypto (Debian: libssl-dev)")
    frameworks = f"-L{directory}", "-lcorefoundation_double", "-lcrypto", "-Wl,-rpath,$ORIGIN"
    _compile(compiler, [*flags, *_paths(COREFOUNDATION)], directory / "libcorefoundation_double.so")
    _compile(compiler, [*flags, *_paths(SECURITY), *frameworks], directory / "libsecurity_double.so")
    _compile(
        compiler,
        [*flags, "-DBEFORE_MACOS_10_14", *_paths(SECURITY), *frameworks],
        directory / "libsecurity_double_10_13.so",
    )
    return directory


def _paths(names: tuple[str, ...]) -> list[str]:
    return [str(SOURCES / name) for name in names]


def _compile(compiler: str, arguments: list[str], output: pathlib.Path) -> None:
    done = subprocess.run([compiler, *arguments, "-o", str(output)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)


class Double:
    """One double, loaded into this process. Its state is the process's: use one at a time, and `reset` in between."""

    def __init__(self, directory: pathlib.Path, before_10_14: bool = False) -> None:
        library = "libsecurity_double_10_13.so" if before_10_14 else "libsecurity_double.so"
        self.libraries = {
            COREFOUNDATION_PATH: ctypes.CDLL(str(directory / "libcorefoundation_double.so")),
            SECURITY_PATH: ctypes.CDLL(str(directory / library)),
        }
        objects, machine = self.libraries.values()
        self._texts = {
            name: _declare(getattr(objects, name), result, ctypes.c_char_p, ctypes.c_size_t)
            for name, result in {
                "double_calls": None,
                "double_live": ctypes.c_long,
                "double_traces": None,
                "double_violations": ctypes.c_long,
            }.items()
        }
        self._fail = _declare(objects.double_fail, None, ctypes.c_char_p, ctypes.c_long)
        self._reset = _declare(objects.double_reset, None)
        self._trace = _declare(objects.double_trace, None, ctypes.c_int)
        self._abort = _declare(objects.double_abort_on_violation, None, ctypes.c_int)
        bytes_arguments = (ctypes.c_char_p, ctypes.c_long)
        self._add_anchor = _declare(machine.double_add_system_anchor, ctypes.c_int, *bytes_arguments)
        self._add_setting = _declare(
            machine.double_add_trust_setting, ctypes.c_int, *bytes_arguments, ctypes.c_int, ctypes.c_int
        )
        self._set_ocsp = _declare(machine.double_set_network_ocsp, None, *bytes_arguments)
        self._network_attempts = _declare(machine.double_network_attempts, ctypes.c_long)
        self._force_status = _declare(machine.double_force_status, None, ctypes.c_int32)
        self._let_meet = _declare(machine.double_let_meet, None, ctypes.c_int)
        self._set_time = _declare(machine.double_set_time, None, ctypes.c_long)
        self._reset_machine = _declare(machine.double_reset_machine, None)

    def load(self, path: str) -> ctypes.CDLL:
        """What `corefoundation._load` does on a Mac. Raises `OSError` for a path that no Mac has."""
        try:
            return self.libraries[path]
        except KeyError:
            raise OSError(f"dlopen({path}): no such file") from None

    @contextlib.contextmanager
    def installed(self) -> Iterator[Double]:
        """Let the package load this double while the `with` block runs, on a machine that trusts nobody."""
        saved = corefoundation._load, corefoundation._core_foundation, security._security
        corefoundation._load, corefoundation._core_foundation, security._security = self.load, None, None
        self.reset()
        try:
            yield self
        finally:
            corefoundation._load, corefoundation._core_foundation, security._security = saved

    def reset(self) -> None:
        """Forget all objects, violations, calls and failures, and make the machine as new."""
        self._reset()
        self._reset_machine()
        self._trace(0)
        self._abort(0)

    # What happened.

    def live(self) -> list[str]:
        """A line for each object that somebody still holds."""
        return self._lines("double_live")

    def violations(self) -> list[str]:
        """A line for each misuse that macOS would punish."""
        return self._lines("double_violations")

    def traces(self) -> list[str]:
        """What the double was asked and what it thought, since `trace()`."""
        return self._lines("double_traces")

    def calls(self) -> dict[str, int]:
        """How often each function was called."""
        return {name: int(count) for name, count in (line.rsplit(" ", 1) for line in self._lines("double_calls"))}

    def network_attempts(self) -> int:
        """How often an OCSP responder was asked."""
        return int(self._network_attempts())

    def _lines(self, name: str) -> list[str]:
        buffer = ctypes.create_string_buffer(_TEXT_SIZE)
        self._texts[name](buffer, _TEXT_SIZE)
        return buffer.value.decode("utf-8", "replace").splitlines()

    # What shall be.

    def fail(self, call: str, nth: int = 1) -> None:
        """Let the `nth` call of the function `call` from now on fail."""
        self._fail(call.encode(), nth)

    def trace(self) -> None:
        self._trace(1)

    def abort_on_violation(self) -> None:
        """End the process at a misuse, as macOS would."""
        self._abort(1)

    def trust_as_system(self, *ders: bytes) -> None:
        """Certificates that the system ships as anchors."""
        for der in ders:
            assert self._add_anchor(der, len(der))

    def decide(self, domain: int, setting: Setting, *ders: bytes) -> None:
        """What the user (0) or the administrator (1) decided about certificates."""
        for der in ders:
            assert self._add_setting(der, len(der), domain, setting)

    def answer_ocsp(self, response: bytes) -> None:
        """What every OCSP responder answers; empty: none answers."""
        self._set_ocsp(response, len(response))

    def force_status(self, status: int) -> None:
        """The OSStatus of every evaluation, as when trustd is out of reach; 0: trustd works."""
        self._force_status(status)

    def let_meet(self, number: int) -> None:
        """The next evaluations wait until `number` of them run at once; if they cannot, that is a violation."""
        self._let_meet(number)

    def set_time(self, unix_time: int) -> None:
        """The machine's clock; 0: the real one."""
        self._set_time(unix_time)


def _declare(function: ctypes._CFuncPtr, result: object, *arguments: object) -> ctypes._CFuncPtr:
    function.restype = result
    function.argtypes = arguments
    return function
