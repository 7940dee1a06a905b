"""Objects that stand in for the `_ssl` object of a connection until its handshake is over.

Every TLS library in Python holds the object that `context._wrap_socket` or `_wrap_bio` made as `owner._sslobj` and
calls `do_handshake`, `read`, `write` and `shutdown` on it. A stand-in takes those calls first and, once it is done,
puts the real object in its place, so that nothing is left in the way of the data.

`Gate` is for delegated contexts, where OpenSSL did not verify: it finishes the handshake, takes the peer chain, asks
the verifier once, and lets no application byte in or out before the verdict. Whatever is not plainly an acceptance is a
refusal, and a refused peer stays refused. `Witness` is for contexts that OpenSSL verifies inside the handshake: it adds
to a refusal whose certificates were trusted, since OpenSSL does not know.
"""

from __future__ import annotations

import ssl
from _thread import RLock
from _weakref import ref

from truststore import _errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from truststore._verify import Options, Verifier

# What may be asked of a connection before the verdict: none of it moves application data. Deny by default: a method
# that a later Python adds is not in this list, and so waits for the verdict.
_INSPECTION = frozenset(
    (
        "cipher", "compression", "context", "get_channel_binding", "get_unverified_chain", "get_verified_chain",
        "getpeercert", "group", "owner", "pending", "selected_alpn_protocol", "selected_npn_protocol",
        "server_hostname", "server_side", "session", "session_reused", "shared_ciphers", "uses_ktls_for_recv",
        "uses_ktls_for_send", "version",
    )
)  # fmt: skip


class _StandIn:
    """Passes attributes on to the real object and can put that in its own place."""

    __slots__ = ("_owner", "_real")

    _real: Any
    _owner: Callable[[], Any]

    def __init__(self, real: Any, owner: object) -> None:
        object.__setattr__(self, "_real", real)
        # Weak, like the reference that _ssl keeps: the owner holds us, and must go when its program drops it.
        object.__setattr__(self, "_owner", (lambda: None) if owner is None else ref(owner))

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self._real, name, value)

    def _step_aside(self) -> None:
        owner = self._owner()
        if owner is not None and getattr(owner, "_sslobj", None) is self:
            owner._sslobj = self._real


class Witness(_StandIn):
    """Watches a handshake that OpenSSL verifies, and lets `explain` annotate its refusal."""

    __slots__ = ("_explain",)

    _explain: Callable[[ssl.SSLCertVerificationError, str | None], None]

    def __init__(
        self, real: Any, owner: object, explain: Callable[[ssl.SSLCertVerificationError, str | None], None]
    ) -> None:
        super().__init__(real, owner)
        object.__setattr__(self, "_explain", explain)

    def do_handshake(self) -> None:
        self._watch(self._real.do_handshake)

    def read(self, *args: Any) -> Any:
        return self._watch(self._real.read, *args)

    def write(self, *args: Any) -> Any:
        return self._watch(self._real.write, *args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def _watch(self, operation: Callable[..., Any], *args: Any) -> Any:
        try:
            result = operation(*args)
        except ssl.SSLCertVerificationError as error:
            self._explain(error, self._real.server_hostname)
            raise
        self._step_aside()
        return result


class Gate(_StandIn):
    """Lets nothing through before `verifier` has accepted the peer. See the module's text."""

    __slots__ = ("_accepted", "_explain", "_lock", "_options", "_refusal", "_verifier")

    _verifier: Verifier
    _options: Options
    _explain: Callable[[ssl.SSLCertVerificationError, str | None], None]
    _accepted: bool
    _refusal: BaseException | None
    _lock: RLock

    def __init__(
        self,
        real: Any,
        owner: object,
        verifier: Verifier,
        options: Options,
        explain: Callable[[ssl.SSLCertVerificationError, str | None], None],
    ) -> None:
        super().__init__(real, owner)
        for name, value in (
            ("_verifier", verifier),
            ("_options", options),
            ("_explain", explain),
            ("_accepted", False),
            ("_refusal", None),
            # Two threads may use one connection, a reader and a writer: the second waits for the verdict.
            ("_lock", RLock()),
        ):
            object.__setattr__(self, name, value)

    def do_handshake(self) -> None:
        """Finish the handshake and judge the peer. Raises what OpenSSL raises meanwhile, and then the refusal."""
        with self._lock:
            if self._refusal is not None:
                raise _errors.again(self._refusal)
            if self._accepted:
                self._real.do_handshake()
                return
            self._real.do_handshake()
            self._judge()
            object.__setattr__(self, "_accepted", True)
            self._step_aside()

    def _judge(self) -> None:
        try:
            chain = _peer_chain(self._real)
            if not chain:
                raise _errors.verification_error(_errors.Reason.NO_CERTIFICATE)
            answer: object = self._verifier.verify(chain, self._options)  # type: ignore[func-returns-value]
            if answer is not None:
                raise _errors.machinery_error("verify", f"the verifier answered {answer!r} instead of a verdict")
        except BaseException as error:  # KeyboardInterrupt, too, leaves the peer without a verdict
            # First of all, since explaining may fail: without a refusal, the next attempt would ask again.
            object.__setattr__(self, "_refusal", _lasting(error))
            if isinstance(error, ssl.SSLCertVerificationError):
                self._explain(error, self._options.server_name)
                object.__setattr__(self, "_refusal", _lasting(error))
            raise

    def read(self, *args: Any) -> Any:
        self._pass()
        return self._real.read(*args)

    def write(self, *args: Any) -> Any:
        self._pass()
        return self._real.write(*args)

    def shutdown(self) -> Any:
        self._pass()
        return self._real.shutdown()

    def _pass(self) -> None:
        if not self._accepted:
            self.do_handshake()

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._real, name)
        if self._accepted or name in _INSPECTION or not callable(value):
            return value

        def after_the_verdict(*args: Any, **kwargs: Any) -> Any:
            self._pass()
            return value(*args, **kwargs)

        return after_the_verdict

    def __setattr__(self, name: str, value: object) -> None:
        # A resumed session carries no chain to judge, so none is taken up.
        if name != "session" or self._accepted:
            setattr(self._real, name, value)


def _peer_chain(real: Any) -> list[bytes]:
    """The certificates that the peer sent, DER, leaf first. `_ssl` gives None instead of an empty list."""
    import _ssl

    chain = real.get_unverified_chain() or ()
    return [one if isinstance(one, bytes) else one.public_bytes(_ssl.ENCODING_DER) for one in chain]


def _lasting(error: BaseException) -> BaseException:
    """What to raise at every further attempt: a copy of `error`, without the frames that `error` keeps alive, or, for
    an interruption, that there was no verdict."""
    if isinstance(error, Exception):
        return _errors.again(error)
    return _errors.machinery_error("verify", f"interrupted by {type(error).__name__} before there was a verdict")
