"""`SSLContext`: the standard library's class, which trusts what the system trusts.

How a connection is verified
============================

There is one real subclass of the genuine `ssl.SSLContext` and no inner context. Two things make it work everywhere.

*Setters.* `ssl.py` writes `super(SSLContext, SSLContext).options.__set__(self, value)` with the global name, which
after injection is ours; it would find itself for ever. `super(T, T)` looks in the class right after T in T's method
resolution order, and there stands `_SafeSetters`, whose setters reach the C descriptors of `_ssl._SSLContext` directly.
It thereby serves our instances, genuine contexts that were made before an injection, gevent's and eventlet's
subclasses, and other copies of truststore, such as pip's.

*The door.* Every TLS library gets its TLS object from `context._wrap_socket(...)` or `context._wrap_bio(...)`: the
standard library's sockets and BIOs, asyncio, uvloop, trio, gevent, eventlet. We override these two, and what they hand
out has been, or will be, verified:

* a server's side, and `CERT_NONE`: exactly the standard library;
* a *native* context (Linux; SSL_CERT_FILE or SSL_CERT_DIR on any OS; a *pinned* context, which trusts only what its
  program loaded): OpenSSL verifies inside the handshake, with anchors that are configured once per context;
* a *delegated* context (macOS, Windows): the TLS object is created with OpenSSL's verification off, and handed out
  behind a gate that asks the operating system before it lets a byte through (see `_gate`).

Whom a context trusts is decided from what the program asked of it so far; `_Trust` keeps that, `SSLContext` acts on it.
"""

from __future__ import annotations

import os
import ssl
import sys
import warnings
from _thread import RLock
from abc import ABCMeta

from truststore import _bundles, _errors, _lazy, _pem, _verify
from truststore._backends import openssl
from truststore._environment import debug, settings
from truststore._gate import Gate, Witness

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from truststore._verify import Verifier


def _genuine_class(current: type) -> type:
    """The standard library's own class: another injector may have put its class into `ssl` before us."""
    for base in current.__mro__:
        if (base.__module__, base.__name__) == ("ssl", "SSLContext"):
            return base
    raise ImportError(f"{current!r} in ssl is no subclass of the standard library's SSLContext: what replaced it?")


Genuine: Any = _genuine_class(ssl.SSLContext)
_Raw: Any = Genuine.__mro__[1]  # _ssl._SSLContext, whose descriptors set what OpenSSL sees

for _needed in ("_wrap_socket", "_wrap_bio", "verify_mode", "verify_flags", "options", "check_hostname"):
    if not hasattr(_Raw, _needed):
        raise ImportError(
            f"this Python's _ssl has no {_needed}: truststore cannot see the connections that it must verify"
        )

_Connection: Any = ssl._ssl._SSLSocket  # type: ignore[attr-defined]
if _verify.system_verifier() is not None and not hasattr(_Connection, "get_unverified_chain"):
    raise ImportError("this Python's _ssl does not show the peer's certificates: truststore cannot have them verified")

# Set by `_inject`: whether our class stands in `ssl`, and whether the program itself asked for that.
injected = False
injected_by_program = False

# Delegated contexts only: held while a TLS object is created with OpenSSL's verification off, never during I/O. One
# lock for all contexts, so that one handler can keep a fork() from copying a context in that state.
_creation_lock = RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_creation_lock.acquire,
        after_in_parent=_creation_lock.release,
        after_in_child=_creation_lock.release,
    )

# The code with which OpenSSL says that it found no trusted issuer, in its several forms (openssl/x509_vfy.h).
_UNKNOWN_ISSUER_CODES = (2, 18, 19, 20, 21, 27)


# What loading a file asks for.
_DEFAULT, _KEPT, _CHOSEN = "the default store", "a bundle besides the default store", "that file"


class _Trust:
    """What the program asked of one context, and what has become of it."""

    __slots__ = (
        "additive",
        "anchors",
        "asked_for_default",
        "chose_anchors",
        "configured",
        "delegable",
        "enumerable",
        "extra",
        "lock",
        "lock_owner",
        "problems",
        "skipped_bundles",
        "sources",
        "stock",
        "store",
        "strict_withheld",
        "verification_off",
    )

    def __init__(self, stock: bool, additive: bool) -> None:
        self.stock = stock  # behaves as the standard library in everything
        self.additive = additive  # trusts the system store besides what is loaded
        self.asked_for_default = False  # load_default_certs() and all that counts as it
        self.sources: list[str] = []  # what was loaded, in words
        self.chose_anchors = False  # some of it was the program's choice, not a vendored bundle that somebody changed
        self.anchors: list[bytes] = []  # the same as DER, for a verifier
        self.extra: list[bytes] | None = None  # TRUSTSTORE_EXTRA_CA_CERTS as DER, for a verifier
        self.skipped_bundles: list[str] = []
        self.delegable = _verify.system_verifier() is not None
        self.configured = False  # OpenSSL has the store's anchors
        self.enumerable = False  # ... and all of them are loaded, to be listed
        self.store: openssl.Store | None = None
        self.problems: list[str] = []
        self.strict_withheld = False
        # (verify_mode, check_hostname) as the program set them, while OpenSSL's are off
        self.verification_off: tuple[int, bool] | None = None
        self.lock = RLock()
        self.lock_owner = os.getpid()

    @property
    def pinned(self) -> bool:
        """Only what the program loaded is trusted: the standard library's meaning."""
        return bool(self.sources) and not self.additive and not self.asked_for_default

    def configuration_lock(self) -> RLock:
        """Keeps threads from configuring one context at once. A fork may copy it locked; a child takes a new one."""
        if self.lock_owner != os.getpid():
            self.lock, self.lock_owner = RLock(), os.getpid()
        return self.lock


class _SafeSetters(Genuine):  # type: ignore[misc]
    """Stands right after `SSLContext` in the method resolution order: see the module's text.

    The setters may be called with a genuine context that is not an instance of this class. `_truststore` is the
    `_Trust` of a context that is.
    """

    _truststore: _Trust

    @property
    def options(self) -> ssl.Options:
        return Genuine.options.__get__(self)  # type: ignore[no-any-return]

    @options.setter
    def options(self, value: int) -> None:
        _Raw.options.__set__(self, value)

    @property
    def minimum_version(self) -> ssl.TLSVersion:
        return Genuine.minimum_version.__get__(self)  # type: ignore[no-any-return]

    @minimum_version.setter
    def minimum_version(self, value: int) -> None:
        if value == ssl.TLSVersion.SSLv3:  # as the standard library does: SSLv3 is off by option, too
            _Raw.options.__set__(self, _Raw.options.__get__(self) & ~ssl.Options.OP_NO_SSLv3)
        _Raw.minimum_version.__set__(self, value)

    @property
    def maximum_version(self) -> ssl.TLSVersion:
        return Genuine.maximum_version.__get__(self)  # type: ignore[no-any-return]

    @maximum_version.setter
    def maximum_version(self, value: int) -> None:
        _Raw.maximum_version.__set__(self, value)

    @property
    def verify_flags(self) -> ssl.VerifyFlags:
        trust = getattr(self, "_truststore", None)
        withheld = ssl.VERIFY_X509_STRICT if trust is not None and trust.strict_withheld else 0
        return ssl.VerifyFlags(_Raw.verify_flags.__get__(self) | withheld)

    @verify_flags.setter
    def verify_flags(self, value: int) -> None:
        _Raw.verify_flags.__set__(self, value)
        trust = getattr(self, "_truststore", None)
        if trust is not None:
            trust.strict_withheld = False
            _settle_strict(self)

    @property
    def verify_mode(self) -> ssl.VerifyMode:
        with _verification_on(self):
            return Genuine.verify_mode.__get__(self)  # type: ignore[no-any-return]

    @verify_mode.setter
    def verify_mode(self, value: int) -> None:
        with _verification_on(self):
            _Raw.verify_mode.__set__(self, value)

    @property
    def check_hostname(self) -> bool:
        with _verification_on(self):
            return _Raw.check_hostname.__get__(self)  # type: ignore[no-any-return]

    @check_hostname.setter
    def check_hostname(self, value: bool) -> None:
        with _verification_on(self):
            _Raw.check_hostname.__set__(self, value)

    if hasattr(_Raw, "_msg_callback"):

        @property
        def _msg_callback(self) -> Any:
            return Genuine._msg_callback.__get__(self)

        @_msg_callback.setter
        def _msg_callback(self, callback: Any) -> None:
            _Raw._msg_callback.__set__(self, _with_enums(callback))


class _Unlocked:
    """A context manager that does nothing."""

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


_UNLOCKED = _Unlocked()


class _VerificationOn:
    """Holds the creation lock, so that nobody sees a context while its verification is off. Should it still be off,
    because an exception came between switching it off and on again, it is switched on first."""

    __slots__ = ("_context",)

    def __init__(self, context: SSLContext) -> None:
        self._context = context

    def __enter__(self) -> None:
        _creation_lock.acquire()
        _switch_verification_on(self._context)

    def __exit__(self, *_: object) -> None:
        _creation_lock.release()


def _verification_on(context: Any) -> _Unlocked | _VerificationOn:
    trust = getattr(context, "_truststore", None)
    return _VerificationOn(context) if trust is not None and trust.delegable else _UNLOCKED


def _switch_verification_off(context: SSLContext) -> None:
    context._truststore.verification_off = (_Raw.verify_mode.__get__(context), _Raw.check_hostname.__get__(context))
    _Raw.check_hostname.__set__(context, False)
    _Raw.verify_mode.__set__(context, ssl.CERT_NONE)


def _switch_verification_on(context: SSLContext) -> None:
    meant = context._truststore.verification_off
    if meant is not None:
        _Raw.verify_mode.__set__(context, meant[0])
        _Raw.check_hostname.__set__(context, meant[1])
        context._truststore.verification_off = None


def _settle_strict(context: SSLContext) -> None:
    """Keep VERIFY_X509_STRICT from OpenSSL where the system's own judgement of its roots stands.

    As on macOS and Windows: Python 3.13 and urllib3 set the flag by default, and many a company's root breaks it. It is
    not withheld from a context on which the program loaded anchors of its own choice, nor with TRUSTSTORE_STRICT=1.
    """
    trust = context._truststore
    flags = _Raw.verify_flags.__get__(context)
    if not (flags & ssl.VERIFY_X509_STRICT or trust.strict_withheld):
        return
    trust.strict_withheld = trust.configured and not trust.chose_anchors and not settings.strict
    strict = 0 if trust.strict_withheld else ssl.VERIFY_X509_STRICT
    _Raw.verify_flags.__set__(context, flags & ~ssl.VERIFY_X509_STRICT | strict)


def _with_enums(callback: Any) -> Any:
    """The message callback that `_ssl` calls with plain numbers, giving the program enum members.

    A callback that has `user_function` comes from the setter of the genuine class, which wrapped it already.
    """
    if callback is None or hasattr(callback, "user_function"):
        return callback
    if not callable(callback):
        raise TypeError(f"{callback} is not callable.")

    def with_enums(conn: object, direction: str, version: int, content_type: int, msg_type: int, data: bytes) -> object:
        content = _member(ssl._TLSContentType, content_type)  # type: ignore[attr-defined]
        kind = {
            ssl._TLSContentType.HEADER: ssl._TLSContentType,  # type: ignore[attr-defined]
            ssl._TLSContentType.ALERT: ssl._TLSAlertType,  # type: ignore[attr-defined]
        }.get(content, ssl._TLSMessageType)  # type: ignore[attr-defined]
        return callback(conn, direction, _member(ssl.TLSVersion, version), content, _member(kind, msg_type), data)

    with_enums.user_function = callback  # type: ignore[attr-defined]
    return with_enums


def _member(enumeration: Any, value: int) -> Any:
    """`value` as a member of `enumeration`, or as it is, where that does not know it."""
    try:
        return enumeration(value)
    except ValueError:
        return value


class _ContextType(ABCMeta):
    """While injected, contexts that were made before are instances, too: libraries ask `isinstance(x, ssl.SSLContext)`.

    Derived from `ABCMeta`, so that a program's class may have both our class and an abstract one for bases.
    """

    def __instancecheck__(cls, instance: object) -> bool:
        if type.__instancecheck__(cls, instance):
            return True
        return injected and "_stands_for_the_genuine_class" in cls.__dict__ and isinstance(instance, Genuine)


class SSLContext(_SafeSetters, metaclass=_ContextType):
    """An `ssl.SSLContext` that verifies servers against the system's trust store.

    Takes and does all that the standard library's class does. Where it differs:

    * a client's context on which nothing was loaded, or default certificates, trusts the system store;
    * one that its program made from `truststore.SSLContext`, or after calling `truststore.inject_into_ssl()`, trusts
      what is loaded besides the system store; any other context on which something was loaded trusts that alone, as in
      the standard library;
    * loading a package's copy of the public CAs (certifi's) counts as asking for the default certificates.

    A server's side, and `verify_mode=CERT_NONE`, are the standard library's.
    """

    _stands_for_the_genuine_class = True

    def __new__(cls, protocol: int | None = None, *args: object, **kwargs: object) -> SSLContext:
        if protocol is None:
            warnings.warn("ssl.SSLContext() without protocol argument is deprecated.", DeprecationWarning, stacklevel=2)
            protocol = ssl.PROTOCOL_TLS
        # Not Genuine.__new__: warnings that _ssl gives about the protocol name the caller of this method.
        self: SSLContext = _Raw.__new__(cls, protocol)
        aware = _lazy.took_the_class(sys._getframe(1), cls)
        stock = protocol == ssl.PROTOCOL_TLS_SERVER or not (aware or injected)
        self._truststore = _Trust(stock=stock, additive=aware or injected_by_program)
        return self

    # ---- what to trust ----------------------------------------------------------------------------------------------

    def load_verify_locations(self, cafile: Any = None, capath: Any = None, cadata: Any = None) -> None:
        """As in the standard library. A vendored public bundle, or the system's own, stands for the system store."""
        trust = self._truststore
        if trust.stock:
            super().load_verify_locations(cafile, capath, cadata)
            return
        bundle_is_kept = False
        if cafile is not None:
            meaning = self._meaning_of(cafile)
            bundle_is_kept = meaning == _KEPT
            cafile = None if meaning == _DEFAULT else cafile
        if capath is not None and self._is_system_directory(capath):
            self._ask_for_default()
            capath = None
        if cafile is None and capath is None and cadata is None and trust.asked_for_default:
            return
        super().load_verify_locations(cafile, capath, cadata)
        trust.chose_anchors = trust.chose_anchors or not bundle_is_kept
        trust.sources += [str(source) for source in (cafile, capath) if source is not None]
        trust.sources += ["cadata"] if cadata is not None else []
        if trust.delegable:
            trust.anchors += _anchors(cafile, capath, cadata)
        _settle_strict(self)

    def _meaning_of(self, cafile: Any) -> str:
        """What loading `cafile` asks for: the default store, that bundle besides it, or that file."""
        try:
            path = os.fsdecode(cafile)
        except TypeError:
            return _CHOSEN  # _ssl says what is wrong with it
        if openssl.environment_store() is None and _is_same_file(path, openssl.system_store().bundle):
            self._ask_for_default()
            return _DEFAULT
        judgement = _bundles.judge(path)
        if judgement == _bundles.CHOSEN:
            return _CHOSEN
        self._ask_for_default()
        if judgement == _bundles.CHANGED or settings.keep_bundled:
            debug(f"{path}: kept as extra anchors ({judgement})")
            return _KEPT
        if not openssl.store() and not self._truststore.delegable:
            _warn_once(f"no system trust store was found; {path} is trusted in its stead")
            return _KEPT
        debug(f"{path}: not loaded, the system store decides ({judgement})")
        self._truststore.skipped_bundles.append(path)
        return _DEFAULT

    def _is_system_directory(self, capath: Any) -> bool:
        try:
            path = os.fsdecode(capath)
        except TypeError:
            return False
        return openssl.environment_store() is None and _is_same_file(path, openssl.system_store().directory)

    def set_default_verify_paths(self) -> None:
        """As in the standard library; the default is the system store."""
        if self._truststore.stock:
            super().set_default_verify_paths()
        else:
            self._ask_for_default()

    def load_default_certs(self, purpose: Any = ssl.Purpose.SERVER_AUTH) -> None:
        """As in the standard library; the default for SERVER_AUTH is the system store."""
        trust = self._truststore
        if trust.stock or purpose != ssl.Purpose.SERVER_AUTH:
            previous, trust.stock = trust.stock, True  # the genuine method calls the two above
            try:
                super().load_default_certs(purpose)
            finally:
                trust.stock = previous
            if not previous:
                trust.sources.append(f"default certificates for {purpose}")
        else:
            self._ask_for_default()

    def _ask_for_default(self) -> None:
        self._truststore.asked_for_default = True
        # The variables count as they are now: a program may set them for one context and unset them again.
        if not self._truststore.configured and openssl.environment_store() is not None:
            self._configure()

    # ---- the door ---------------------------------------------------------------------------------------------------

    def _wrap_socket(
        self,
        sock: Any,
        server_side: bool,
        server_hostname: str | None = None,
        *,
        owner: Any = None,
        session: Any = None,
    ) -> Any:
        create = super()._wrap_socket
        return self._verified(
            server_side,
            server_hostname,
            owner,
            session,
            lambda session: create(sock, server_side, server_hostname, owner=owner, session=session),
        )

    def _wrap_bio(
        self,
        incoming: Any,
        outgoing: Any,
        server_side: bool,
        server_hostname: str | None = None,
        *,
        owner: Any = None,
        session: Any = None,
    ) -> Any:
        create = super()._wrap_bio
        return self._verified(
            server_side,
            server_hostname,
            owner,
            session,
            lambda session: create(incoming, outgoing, server_side, server_hostname, owner=owner, session=session),
        )

    def _verified(
        self, server_side: bool, server_hostname: str | None, owner: Any, session: Any, create: Callable[[Any], Any]
    ) -> Any:
        """The TLS object from `create(session)`, verified natively or behind a gate; untouched where none is due."""
        trust = self._truststore
        if trust.stock:
            return create(session)
        with _verification_on(self):
            mode = _Raw.verify_mode.__get__(self)
        if mode == ssl.CERT_NONE:
            return create(session)
        if server_side:
            self._trust_as_a_server()
            return create(session)
        verifier = self._verifier()
        if verifier is not None:
            return self._behind_a_gate(verifier, server_hostname, owner, create)
        if not trust.pinned and not trust.configured:
            with trust.configuration_lock():
                self._configure()
        return Witness(create(session), owner, self._explain)

    def _verifier(self) -> Verifier | None:
        """Who decides about this context's peers; None for OpenSSL."""
        trust = self._truststore
        if not trust.delegable or trust.pinned or trust.configured:
            return None
        return None if openssl.environment_store() is not None else _verify.system_verifier()

    def _behind_a_gate(
        self, verifier: Verifier, server_hostname: str | None, owner: Any, create: Callable[[Any], Any]
    ) -> Gate:
        with _VerificationOn(self):
            check_hostname = _Raw.check_hostname.__get__(self)
            if check_hostname and not server_hostname:
                raise ValueError("check_hostname requires server_hostname")
            options = _verify.Options(
                server_name=server_hostname if check_hostname else None,
                revocation=_verify.revocation_of(_Raw.verify_flags.__get__(self)),
                extra_anchors=self._extra_anchors(),
            )
            # A TLS 1.2 peer must not come with another certificate after the verdict.
            _Raw.options.__set__(self, _Raw.options.__get__(self) | ssl.OP_NO_RENEGOTIATION)
            try:
                _switch_verification_off(self)
                real = create(None)  # a resumed session would carry no chain
            finally:
                _switch_verification_on(self)
        return Gate(real, owner, verifier, options, self._explain)

    def _extra_anchors(self) -> tuple[bytes, ...]:
        trust = self._truststore
        if trust.extra is None:
            extra: list[bytes] = []
            for path in settings.extra_ca_certs:
                try:
                    for file in _pem.files_in_directory(path) if os.path.isdir(path) else [path]:
                        extra += _pem.certificates_in_file(file)
                except OSError as error:
                    self._cannot_use_extra(path, error)
            trust.extra = extra
        return tuple(dict.fromkeys([*trust.anchors, *trust.extra]))

    # ---- native contexts --------------------------------------------------------------------------------------------

    def _configure(self) -> None:
        """Give OpenSSL the anchors of the store and the extra ones. Doing it twice does no harm, only costs time."""
        trust = self._truststore
        trust.store = store = openssl.store()
        trust.problems = list(store.problems)
        if store.by_openssl:
            super().set_default_verify_paths()
        else:
            self._load(store)
        for path in settings.extra_ca_certs:
            try:
                for file in _pem.files_in_directory(path) if os.path.isdir(path) else [path]:
                    super().load_verify_locations(cafile=file)
            except (OSError, ssl.SSLError) as error:
                self._cannot_use_extra(path, error)
        trust.configured = True
        _settle_strict(self)
        debug(f"context {id(self):#x} trusts {store.describe()}" + "".join(f"; {it}" for it in trust.problems))

    def _load(self, store: openssl.Store) -> None:
        # Not set_default_verify_paths(): repeated, it grows without bound on OpenSSL 3.0.
        if store.directory is not None:
            super().load_verify_locations(capath=store.directory)
        for file in store.files:
            try:
                super().load_verify_locations(cafile=file)
            except (OSError, ssl.SSLError) as error:  # one bad file of many, or one that went away
                self._truststore.problems.append(f"{file}: {error}")

    def _cannot_use_extra(self, path: str, error: Exception) -> None:
        problem = f"TRUSTSTORE_EXTRA_CA_CERTS names {path!r}, which cannot be used: {error}"
        self._truststore.problems.append(problem)
        _warn_once(problem)

    def _trust_as_a_server(self) -> None:
        """What was put off for a client's side is what the standard library would have loaded for a server's."""
        trust = self._truststore
        if trust.configured and not trust.asked_for_default:
            raise ssl.SSLError(
                "this context has verified servers against the system store, so it cannot judge a server's clients, "
                "too: make one with PROTOCOL_TLS_SERVER for them"
            )
        if trust.asked_for_default:
            super().set_default_verify_paths()
            for path in trust.skipped_bundles:
                super().load_verify_locations(cafile=path)

    # ---- what is trusted --------------------------------------------------------------------------------------------

    def get_ca_certs(self, binary_form: bool = False) -> Any:
        """As in the standard library. A context that trusts the system store lists its roots, too."""
        return self._listing_context().get_ca_certs(binary_form)

    def cert_store_stats(self) -> dict[str, int]:
        """As in the standard library. A context that trusts the system store counts its roots, too."""
        return self._listing_context().cert_store_stats()  # type: ignore[no-any-return]

    def _listing_context(self) -> Any:
        """An object with the standard library's two methods that knows all that this context trusts."""
        trust = self._truststore
        if trust.stock or trust.pinned or not (trust.asked_for_default or trust.additive or trust.configured):
            return super()
        verifier = self._verifier()
        if verifier is not None:
            return self._with_roots(verifier)
        with trust.configuration_lock():
            if not trust.configured:
                self._configure()
            if not trust.enumerable and trust.store is not None:
                self._load(openssl.Store("listing", files=trust.store.all_files()))
                trust.enumerable = True
        return super()

    def _with_roots(self, verifier: Verifier) -> Any:
        listing = Genuine.__new__(Genuine, ssl.PROTOCOL_TLS_CLIENT)
        for der in (*verifier.roots(), *self._extra_anchors()):
            try:
                _Raw.load_verify_locations(listing, cadata=der)
            except ssl.SSLError:  # a store may hold what OpenSSL cannot parse
                continue
        return listing

    # ---- why not ----------------------------------------------------------------------------------------------------

    def _explain(self, error: ssl.SSLCertVerificationError, server_name: str | None) -> None:
        """Add to `error` whose certificates were trusted, which OpenSSL and the system do not say."""
        lines = list(self._trusted_in_words()) if error.verify_code in _UNKNOWN_ISSUER_CODES else []
        if lines:
            _errors.annotate(error, "truststore: " + "; ".join(lines))

    def _trusted_in_words(self) -> Iterator[str]:
        trust = self._truststore
        if trust.pinned:
            loaded = ", ".join(trust.sources[:3]) + (", ..." if len(trust.sources) > 3 else "")
            yield f"this context trusts only what its program loaded ({loaded}), not the system store"
        elif trust.store is not None:
            known = "the issuer is not trusted by" if trust.store else "nothing is trusted:"
            yield f"{known} {trust.store.describe()}"
            yield from trust.problems
        else:
            yield "the issuer is not in the system store"


def _is_same_file(path: str, other: str | None) -> bool:
    if other is None:
        return False
    return path == other or os.path.realpath(path) == os.path.realpath(other)


def _anchors(cafile: Any, capath: Any, cadata: Any) -> list[bytes]:
    """What OpenSSL has just loaded, as DER. It was readable then; what is not any more is not trusted."""
    anchors: list[bytes] = []
    try:
        if cafile is not None:
            anchors += _pem.certificates_in_file(cafile)
        for directory in os.fsdecode(capath).split(os.pathsep) if capath is not None else ():
            for file in _pem.files_in_directory(directory) if os.path.isdir(directory) else ():
                anchors += _pem.certificates_in_file(file)
    except OSError as error:
        debug(f"{error}")
    if isinstance(cadata, str):
        anchors += _pem.certificates(cadata.encode("ascii"))
    elif cadata is not None:
        anchors += _pem.der_certificates(bytes(cadata))
    return anchors


_warned: set[str] = set()


def _warn_once(message: str) -> None:
    if message not in _warned:
        _warned.add(message)
        warnings.warn(f"truststore: {message}", RuntimeWarning, stacklevel=4)
