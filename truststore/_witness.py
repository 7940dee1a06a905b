"""Objects that stand in for the `_ssl` object of a connection until its handshake is over.

Every TLS library in Python holds the object that `context._wrap_socket` or `_wrap_bio` made as `owner._sslobj` and
calls `do_handshake`, `read`, `write` and `shutdown` on it. A stand-in takes those calls first and, once it is done,
puts the real object in its place, so that nothing is left in the way of the data.

`Witness` is for contexts that OpenSSL verifies inside the handshake: it adds to a refusal what its cause is and whose
certificates were trusted, since OpenSSL does not say. The other one, for delegated contexts, is `_gate.Gate`.
"""

from __future__ import annotations

import ssl
from _weakref import ref

from truststore._environment import debug

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class StandIn:
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


class Witness(StandIn):
    """Watches a handshake that OpenSSL verifies, and lets `explain` annotate its refusal.

    `explain` gets the refusal, the server name and the connection, which still knows what the peer sent.
    """

    __slots__ = ("_explain",)

    _explain: Callable[[ssl.SSLCertVerificationError, str | None, Any], None]

    def __init__(
        self, real: Any, owner: object, explain: Callable[[ssl.SSLCertVerificationError, str | None, Any], None]
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
            try:
                self._explain(error, self._real.server_hostname, self._real)
            except Exception as failure:  # a lost explanation must not hide the verdict
                debug(f"cannot explain {error}: {failure!r}")
            raise
        self._step_aside()
        return result
