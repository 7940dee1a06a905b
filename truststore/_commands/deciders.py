"""Who may decide about a peer chain: programs in this Python, stock Python, certifi, the system store.

Each is asked for its verdict on the same captured chain. OpenSSL's part is judged by OpenSSL (`_oracle`); where the
operating system verifies, it is asked itself.
"""

from __future__ import annotations

import ssl

from truststore import _oracle, _verify
from truststore._backends import openssl
from truststore._commands import roots
from truststore._environment import settings
from truststore._errors import Reason, reason_behind, reason_of
from truststore._oracle import Assumptions, Verdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from truststore._commands.roots import Bundle, Roots
    from truststore._verify import Verifier


class Decider:
    """One who decides. `key` is its stable word in JSON, `name` says what it decides with.

    `roots` are its anchors, for showing; `assumptions` are those under which OpenSSL decides as it does, or nearly so
    where it is not OpenSSL. `store` is the OpenSSL store that it uses, if it is one of ours.
    """

    def __init__(self, key: str, name: str, known: Roots, assumptions: Assumptions) -> None:
        self.key = key
        self.name = name
        self.roots = known
        self._assumptions = assumptions
        self.store: openssl.Store | None = None
        self.verifier: Verifier | None = None
        self.extra_anchors: tuple[bytes, ...] = ()  # for the verifier

    def naming(self, extra: list[bytes]) -> Decider:
        """Itself, with a name that tells of `extra` anchors."""
        if extra:
            self.name += ", and TRUSTSTORE_EXTRA_CA_CERTS"
        return self

    def assumptions(self, server_name: str | None) -> Assumptions:
        return self._assumptions.but(server_name=server_name)

    def judge(self, chain: Sequence[bytes], server_name: str | None) -> Answer:
        """Its verdict on `chain` (DER, leaf first)."""
        if self.verifier is None:
            return Answer.from_verdict(_oracle.judge(chain, self.assumptions(server_name)))
        return _ask(self.verifier, chain, _verify.Options(server_name, extra_anchors=self.extra_anchors))


class Answer:
    """A decider's answer. `trusted` is None if there was no verdict; `reason` is None unless it refused."""

    __slots__ = ("message", "native_code", "reason", "trusted", "verify_code")

    def __init__(
        self,
        trusted: bool | None,
        message: str,
        reason: Reason | None = None,
        verify_code: int | None = None,
        native_code: int | None = None,
    ) -> None:
        self.trusted = trusted
        self.message = message
        self.reason = reason
        self.verify_code = verify_code
        self.native_code = native_code

    @classmethod
    def from_verdict(cls, verdict: Verdict) -> Answer:
        if verdict.accepted:
            return cls(True, "ok")
        if verdict.code is None:
            return cls(None, verdict.message)
        return cls(False, verdict.message, reason_of(verdict.code), verdict.code)

    @classmethod
    def from_refusal(cls, error: ssl.SSLCertVerificationError) -> Answer:
        return cls(False, error.verify_message, reason_behind(error), error.verify_code, vars(error).get("native_code"))


def _ask(verifier: Verifier, chain: Sequence[bytes], options: _verify.Options) -> Answer:
    try:
        verifier.verify(chain, options)
    except ssl.SSLCertVerificationError as error:
        return Answer.from_refusal(error)
    except (OSError, ValueError) as error:
        return Answer(None, str(error))
    return Answer(True, "ok")


# ---- each of them ---------------------------------------------------------------------------------------------------


def this_python() -> Decider:
    """What decides about `ssl.create_default_context()` in this interpreter, as it is now."""
    context: Any = ssl.create_default_context()
    if not hasattr(context, "_truststore"):
        return _other_class(context) if type(context) is not _oracle.Standard else _stock("this-python", "stock Python")
    verifier: Verifier | None = context._truststore.verifier()
    if verifier is not None:
        return _delegated("this-python", verifier, roots.extra())
    store = openssl.store()
    flags = _oracle.DEFAULT_FLAGS
    if not settings.strict:  # see _context._settle_strict
        flags &= ~_oracle.STRICT
    return _with_store("this-python", store, flags, roots.extra())


def stock_python() -> Decider:
    """What an interpreter without us would decide, with the same environment."""
    return _stock("stock-python", "stock Python")


def system_store() -> Decider:
    """What the system store alone decides: no variable has a say in it, nor has the strict flag."""
    verifier = _verify.system_verifier()
    if verifier is not None:
        return _delegated("system-store", verifier, [])
    return _with_store("system-store", openssl.system_store(), _oracle.DEFAULT_FLAGS & ~_oracle.STRICT, [])


def public_bundle(bundle: Bundle) -> Decider:
    """What a program decides that loads certifi's bundle and nothing else."""
    known = bundle.roots()
    load = _oracle.anchors([certificate.der for certificate in known.certificates])
    return Decider("certifi", bundle.name, known, Assumptions(load))


def _with_store(key: str, store: openssl.Store, flags: int, extra: list[bytes]) -> Decider:
    known = roots.of_store(store).with_extra(extra)
    decider = Decider(
        key, f"OpenSSL with {store.describe()}", known, Assumptions(roots.loader(store, extra), flags=flags)
    )
    decider.store = store
    return decider.naming(extra)


def _delegated(key: str, verifier: Verifier, extra: list[bytes]) -> Decider:
    known = roots.Roots(verifier.name, verifier.roots()).with_extra(extra)
    load = _oracle.anchors([certificate.der for certificate in known.certificates])
    decider = Decider(key, verifier.name, known, Assumptions(load, flags=_oracle.DEFAULT_FLAGS & ~_oracle.STRICT))
    decider.verifier = verifier
    decider.extra_anchors = tuple(extra)
    return decider.naming(extra)


def _stock(key: str, name: str) -> Decider:
    def load(context: Any) -> None:
        _oracle.Standard.load_default_certs(context)

    paths = ssl.get_default_verify_paths()
    where = " and ".join(path for path in (paths.cafile, paths.capath) if path) or "no file or directory that exists"
    files = [paths.cafile] if paths.cafile else []
    store = openssl.Store(where, directory=paths.capath, files=files)
    return Decider(key, f"{name}: OpenSSL with {where}", roots.of_store(store), Assumptions(load))


def _other_class(context: Any) -> Decider:
    cls = type(context)
    decider = _stock("this-python", f"{cls.__module__}.{cls.__qualname__}")
    decider.name = f"{cls.__module__}.{cls.__qualname__}, which somebody put into ssl"
    return decider
