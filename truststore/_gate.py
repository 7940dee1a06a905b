"""The stand-in for connections of delegated contexts, where OpenSSL does not verify: see `_witness` for stand-ins.

`Gate` finishes the handshake, takes the peer chain, asks the verifier once, and lets no application byte in or out
before the verdict. Whatever is not plainly an acceptance is a refusal, and a refused peer stays refused.
"""

from __future__ import annotations

import ssl
from _thread import RLock

from truststore import _errors
from truststore._environment import debug
from truststore._witness import StandIn

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


class Gate(StandIn):
    """Lets nothing through before `verifier` has accepted the peer. See the module's text."""

    __slots__ = ("_accepted", "_explain", "_lock", "_options", "_refusal", "_verifier")

    _verifier: Verifier
    _options: Options
    _explain: Callable[[ssl.SSLCertVerificationError, str | None, Any], None]
    _accepted: bool
    _refusal: BaseException | None
    _lock: RLock

    def __init__(
        self,
        real: Any,
        owner: object,
        verifier: Verifier,
        options: Options,
        explain: Callable[[ssl.SSLCertVerificationError, str | None, Any], None],
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
        except OSError as error:  # ssl.SSLError is one
            # First of all, since explaining may fail: without a refusal, the next attempt would ask again.
            object.__setattr__(self, "_refusal", _errors.again(error))
            if isinstance(error, ssl.SSLCertVerificationError):
                try:
                    self._explain(error, self._options.server_name, self._real)
                except Exception as failure:  # a lost explanation must not hide the verdict
                    debug(f"cannot explain {error}: {failure!r}")
                object.__setattr__(self, "_refusal", _errors.again(error))
            raise
        except BaseException as error:
            # KeyboardInterrupt, too, leaves the peer without a verdict. Programs, and ssl.py when it cleans up, expect
            # an OSError from a handshake.
            refusal = _errors.machinery_error("verify", f"no verdict: {error!r}")
            object.__setattr__(self, "_refusal", refusal)
            if isinstance(error, Exception):
                raise _errors.again(refusal) from error
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
