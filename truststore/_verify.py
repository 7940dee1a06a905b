"""What is asked of a verifier, and which one this platform has.

A *verifier* judges a peer chain by the operating system's trust store. It sees bytes and values, never a context or a
socket, so the same verifier serves every TLS library and every test. This module holds the only platform switch of the
runtime package.
"""

from __future__ import annotations

import ssl
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Protocol

    class Verifier(Protocol):
        """Judges peer chains by the operating system's trust store."""

        @property
        def name(self) -> str:
            """What decides, as `status` prints it, for example `macOS Security framework`."""

        def verify(self, chain: Sequence[bytes], options: Options) -> None:
            """Return None if the system trusts `chain` (DER, leaf first, as the peer sent it) under `options`.

            Raises `ssl.SSLCertVerificationError` (made by `_errors.verification_error`) for a verdict against the
            peer, and `ssl.SSLError` (`_errors.machinery_error`, which names the call) when there is none. Safe to
            call from several threads at once.
            """

        def roots(self) -> list[bytes]:
            """The DER certificates that the system trusts for TLS servers: for export and status, not for verdicts."""


class Revocation:
    """Which certificates of a chain are checked for revocation: one of the three below.

    No `enum`: making one would cost every program that imports `ssl`.
    """

    __slots__ = ("_word",)

    NONE: Revocation
    LEAF: Revocation
    CHAIN: Revocation

    def __init__(self, word: str) -> None:
        self._word = word

    def __repr__(self) -> str:
        return f"Revocation.{self._word}"


Revocation.NONE, Revocation.LEAF, Revocation.CHAIN = map(Revocation, ("NONE", "LEAF", "CHAIN"))


class Options:
    """What the program asked for, taken from its context when the TLS object was made. Immutable.

    `server_name` is the name to check, already an A-label or an IP address in text form; None means that the name is
    not checked (`check_hostname=False`). `extra_anchors` are DER certificates to trust besides the system's.
    """

    __slots__ = ("extra_anchors", "revocation", "server_name")

    server_name: str | None
    revocation: Revocation
    extra_anchors: tuple[bytes, ...]

    def __init__(
        self,
        server_name: str | None,
        revocation: Revocation = Revocation.NONE,
        extra_anchors: Sequence[bytes] = (),
    ) -> None:
        object.__setattr__(self, "server_name", server_name)
        object.__setattr__(self, "revocation", revocation)
        object.__setattr__(self, "extra_anchors", tuple(extra_anchors))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"Options are immutable: cannot set {name!r}")

    def __repr__(self) -> str:
        return (
            f"Options(server_name={self.server_name!r}, revocation={self.revocation}, "
            f"extra_anchors=<{len(self.extra_anchors)} certificates>)"
        )


def revocation_of(verify_flags: int) -> Revocation:
    """What `verify_flags` ask for. CHAIN is two bits, one of them LEAF's, so it must be compared whole."""
    # Plain numbers: this is asked for each connection, and the operators of an enum take microseconds.
    chain = int(ssl.VERIFY_CRL_CHECK_CHAIN)
    if verify_flags & chain == chain:
        return Revocation.CHAIN
    if verify_flags & int(ssl.VERIFY_CRL_CHECK_LEAF):
        return Revocation.LEAF
    return Revocation.NONE


_UNDECIDED = object()
_verifier: object = _UNDECIDED


def has_system_verifier() -> bool:
    """Whether this platform has a verifier, without importing it: the bindings of some take milliseconds."""
    if _verifier is _UNDECIDED:
        return sys.platform in ("win32", "darwin")
    return _verifier is not None


def system_verifier() -> Verifier | None:
    """The verifier of this platform; None where OpenSSL itself verifies, with the distribution's store.

    Raises `ImportError` on a system that is too old for its verifier.
    """
    global _verifier
    if _verifier is _UNDECIDED:
        _verifier = _platform_verifier()
    return _verifier  # type: ignore[return-value]  # either of the two, once decided


def _platform_verifier() -> Verifier | None:
    if sys.platform == "win32":
        from truststore._backends.windows import WindowsVerifier

        return WindowsVerifier()
    if sys.platform == "darwin":
        from truststore._backends.macos import MacOSVerifier

        return MacOSVerifier()
    return None


def replace_verifier(verifier: Verifier | None) -> object:
    """Let `verifier` decide in this process and return what decided before. For tests: there is no public way."""
    global _verifier
    previous, _verifier = _verifier, verifier
    return previous
