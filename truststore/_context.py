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

Whom a context trusts follows from what its program asked for so far: `_trust.Trust` knows, `SSLContext` acts.
"""

from __future__ import annotations

import os
import ssl
import sys
import warnings
from _thread import RLock, get_ident
from abc import ABCMeta

from truststore import _lazy, _verify
from truststore._environment import debug

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from truststore import _trust, _witness
    from truststore._backends import openssl
    from truststore._trust import Trust
    from truststore._verify import Verifier


def _genuine_class(current: type) -> type:
    """The standard library's own class: another injector may have put its class into `ssl` before us."""
    for base in current.__mro__:
        if (base.__module__, base.__name__) == ("ssl", "SSLContext"):
            return base
    raise ImportError(f"{current!r} in ssl is no subclass of the standard library's SSLContext: what replaced it?")


# Libraries that put a subclass of the genuine class, or of ours, into `ssl`: its sockets yield to other green threads.
COOPERATIVE = ("gevent", "eventlet")


def is_cooperative(cls: type) -> bool:
    """Whether `cls` comes from one of the `COOPERATIVE` libraries."""
    return cls.__module__.partition(".")[0] in COOPERATIVE


Genuine: Any = _genuine_class(ssl.SSLContext)
_Raw: Any = Genuine.__mro__[1]  # _ssl._SSLContext, whose descriptors set what OpenSSL sees

for _needed in ("_wrap_socket", "_wrap_bio", "verify_mode", "verify_flags", "options", "check_hostname"):
    if not hasattr(_Raw, _needed):
        raise ImportError(
            f"this Python's _ssl has no {_needed}: truststore cannot see the connections that it must verify"
        )

_connection: Any = getattr(ssl._ssl, "_SSLSocket", None)  # type: ignore[attr-defined]
if _verify.has_system_verifier() and not hasattr(_connection, "get_unverified_chain"):
    raise ImportError("this Python's _ssl does not show the peer's certificates: truststore cannot have them verified")

# Set by `_inject`: whether our class stands in `ssl`, and whether the program itself asked for that.
injected = False
injected_by_program = False

# Where the hook keeps the reason why it does not work although it was injected. Set by `_inject`.
report_failure: Callable[[Exception], None] | None = None

# Delegated contexts only: held while a TLS object is created with OpenSSL's verification off, never during I/O. One
# lock for all contexts, so that one handler can keep a fork() from copying a context in that state.
_creation_lock = RLock()
_forks_wait = False


def _let_forks_wait() -> None:
    """Let `fork` wait for the creation lock, from the first delegated context on.

    Not at the import: what is registered is never unregistered, keeps this module and all that it knows from being
    freed in the usual order, and makes the end of every program slower (by 3.4 million instructions on Python 3.13).
    """
    global _forks_wait
    if not _forks_wait and hasattr(os, "register_at_fork"):
        _forks_wait = True
        # By functions that look the lock up: eventlet replaces what a module calls its lock, and complains of what it
        # cannot replace.
        os.register_at_fork(
            before=lambda: _creation_lock.acquire(),
            after_in_parent=lambda: _creation_lock.release(),
            after_in_child=lambda: _creation_lock.release(),
        )


class _Stock:
    """Stands for the `Trust` of a context that behaves as the standard library in everything."""

    stock = True
    delegable = False
    strict_withheld = False


_STOCK: Any = _Stock()


def _new_trust(additive: bool) -> Trust:
    """The `Trust` of a client's context, and with the first one the modules that only those need.

    Most programs that import `ssl` make none. Not later than that, since a program may change its root directory or its
    user before it connects. If files of the package are missing or damaged, a program that did not ask for us gets the
    standard library's context, which verifies, too: the hook must not break what works without it.
    """
    global _trust, _witness, openssl
    try:
        from truststore import _trust, _witness
        from truststore._backends import openssl

        trust = _trust.Trust(additive)
        if trust.delegable:
            _let_forks_wait()
        return trust
    except Exception as error:
        if additive or report_failure is None:
            raise
        report_failure(error)
        return _STOCK  # type: ignore[no-any-return]


class _SafeSetters(Genuine):  # type: ignore[misc]
    """Stands right after `SSLContext` in the method resolution order: see the module's text.

    The setters may be called with a genuine context that is not an instance of this class. `_truststore` is the
    `Trust` of a context that is.
    """

    _truststore: Trust

    @property
    def options(self) -> ssl.Options:
        return Genuine.options.__get__(self)  # type: ignore[no-any-return]

    @options.setter
    def options(self, value: int) -> None:
        with _verification_on(self):  # see _behind_a_gate, which adds one
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
        trust = getattr(self, "_truststore", None)
        if trust is None or trust.stock:
            _Raw.verify_flags.__set__(self, value)
            return
        with trust.configuration_lock():
            _Raw.verify_flags.__set__(self, value)
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


class _OutsideTheEventLoop:
    """Hides asyncio's running loop from this thread while files are looked at that OpenSSL reads without us.

    Tools that watch a loop for blocking calls (blockbuster, for one) replace functions of `os` and `io`, and raise in
    a thread that runs a loop. They never see OpenSSL read the same files in the same place; should they see us, a
    program that works without us would fail.
    """

    __slots__ = ("_events", "_loop")

    def __enter__(self) -> None:
        self._loop: object = None
        self._events: Any = sys.modules.get("asyncio.events")
        if self._events is not None:
            self._loop = self._events._get_running_loop()
            self._events._set_running_loop(None)

    def __exit__(self, *_: object) -> None:
        if self._loop is not None:
            self._events._set_running_loop(self._loop)


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
    """Give OpenSSL VERIFY_X509_STRICT if the program set it, unless it is withheld: see `Trust.withholds_strict`."""
    trust = context._truststore
    with trust.configuration_lock():  # what another thread sets meanwhile must not be lost
        flags = _Raw.verify_flags.__get__(context)
        if flags & ssl.VERIFY_X509_STRICT or trust.strict_withheld:
            trust.strict_withheld = trust.withholds_strict()
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
        aware = _lazy.took_the_class(sys._getframe(1), cls)
        current = ssl.SSLContext
        if cls is SSLContext and is_cooperative(current) and issubclass(current, cls):
            # Patched in after somebody took our class: sockets of the standard library fail from then on.
            cls = current  # type: ignore[assignment]  # a subclass, as just asked
        # Not Genuine.__new__: warnings that _ssl gives about the protocol name the caller of this method.
        self: SSLContext = _Raw.__new__(cls, protocol)
        if protocol == ssl.PROTOCOL_TLS_SERVER or not (aware or injected):
            self._truststore = _STOCK
        else:
            self._truststore = _new_trust(additive=aware or injected_by_program)
        return self

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # A subclass of the public package's class hands the protocol on to here, where it is too late to choose one.
        # Otherwise as if this method were not here: the arguments were for __new__, or are a mixin's.
        if super(SSLContext, type(self)).__init__ is not object.__init__:
            super().__init__(*args, **kwargs)
        elif (args or kwargs) and type(self).__init__ is not SSLContext.__init__:
            protocol = args[0] if args else kwargs.get("protocol")
            if protocol is not None and protocol != self.protocol:
                raise TypeError(f"the protocol is {self.protocol!r} already: give {protocol!r} to __new__, too")

    # ---- what to trust ----------------------------------------------------------------------------------------------

    def load_verify_locations(self, cafile: Any = None, capath: Any = None, cadata: Any = None) -> None:
        """As in the standard library. A vendored public bundle, or the system's own, stands for the system store."""
        trust = self._truststore
        if trust.stock or trust.genuine_in == get_ident():
            super().load_verify_locations(cafile, capath, cadata)
            return
        asks_for_default = kept = False
        with _OutsideTheEventLoop():
            if cafile is not None:
                meaning = trust.meaning_of(cafile)
                kept = meaning == _trust.KEPT
                asks_for_default = meaning != _trust.CHOSEN
                cafile = None if meaning == _trust.DEFAULT else cafile
            if capath is not None and trust.is_system_directory(capath):
                asks_for_default, capath = True, None
        if asks_for_default:
            self._ask_for_default()
            if cafile is None and capath is None and cadata is None:
                return
        super().load_verify_locations(cafile, capath, cadata)
        trust.remember(cafile, capath, cadata, chosen=not kept or capath is not None or cadata is not None)
        _settle_strict(self)

    def set_default_verify_paths(self) -> None:
        """As in the standard library; the default is the system store."""
        trust = self._truststore
        if trust.stock or trust.genuine_in == get_ident():
            super().set_default_verify_paths()
        else:
            self._ask_for_default()

    def load_default_certs(self, purpose: Any = ssl.Purpose.SERVER_AUTH) -> None:
        """As in the standard library; the default for SERVER_AUTH is the system store."""
        trust = self._truststore
        if trust.stock:
            super().load_default_certs(purpose)
        elif purpose == ssl.Purpose.SERVER_AUTH:
            self._ask_for_default()
        else:
            with trust.configuration_lock():
                trust.genuine_in = get_ident()  # the genuine method calls the two above
                try:
                    super().load_default_certs(purpose)
                finally:
                    trust.genuine_in = None
            trust.sources.append(f"default certificates for {purpose}")

    def _ask_for_default(self) -> None:
        trust = self._truststore
        trust.asked_for_default = True
        with _OutsideTheEventLoop():
            # The variables count as they are now: a program may set them for one context and unset them again.
            if not trust.configured and openssl.environment_store() is not None:
                self._configure()
            # Here the standard library reads files, too. Not at the first connection: a program that makes its contexts
            # before its event loop runs wants none read in it.
            elif not trust.delegable:
                openssl.system_store()

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
            if _Raw.verify_mode.__get__(self) == ssl.CERT_NONE:
                return create(session)
        if server_side:
            self._trust_as_a_server()
            with _verification_on(self):
                return create(session)
        # The public API's promise, for BIOs, too: the standard library would check no name there, and say nothing.
        if trust.additive and not server_hostname and self.check_hostname:
            raise ValueError("check_hostname requires server_hostname")
        verifier = trust.verifier()
        if verifier is not None:
            return self._behind_a_gate(verifier, server_hostname, owner, create)
        if not trust.pinned and not trust.configured:
            with trust.configuration_lock():
                if not trust.configured:  # by a thread that was here before
                    self._configure()
        with _verification_on(self):  # another thread may be creating an object for behind a gate
            real = create(session)
        return _witness.Witness(real, owner, trust.explain)

    def _behind_a_gate(
        self, verifier: Verifier, server_hostname: str | None, owner: Any, create: Callable[[Any], Any]
    ) -> Any:
        from truststore._gate import Gate  # imported since there is a verifier: see Trust

        trust = self._truststore
        with _VerificationOn(self):
            check_hostname = _Raw.check_hostname.__get__(self)
            if check_hostname and not server_hostname:
                raise ValueError("check_hostname requires server_hostname")
            options = _verify.Options(
                server_name=server_hostname if check_hostname else None,
                revocation=_verify.revocation_of(_Raw.verify_flags.__get__(self)),
                extra_anchors=trust.extra_anchors(),
            )
            trust.consulted = True
            # A TLS 1.2 peer must not come with another certificate after the verdict.
            _Raw.options.__set__(self, _Raw.options.__get__(self) | ssl.OP_NO_RENEGOTIATION)
            try:
                _switch_verification_off(self)
                real = create(None)  # a resumed session would carry no chain
            finally:
                _switch_verification_on(self)
        return Gate(real, owner, verifier, options, trust.explain)

    def _trust_as_a_server(self) -> None:
        """What was put off for a client's side is what the standard library would have loaded for a server's."""
        trust = self._truststore
        if (trust.configured or trust.consulted) and not trust.asked_for_default:
            raise ssl.SSLError(
                "this context has verified servers against the system store, so it cannot judge a server's clients, "
                "too: make one with PROTOCOL_TLS_SERVER for them"
            )
        if trust.asked_for_default:
            super().set_default_verify_paths()
            for path in trust.skipped_bundles:
                super().load_verify_locations(cafile=path)

    # ---- OpenSSL's anchors ------------------------------------------------------------------------------------------

    def _configure(self) -> None:
        """Give OpenSSL the anchors of the store and the extra ones. Doing it twice does no harm, only costs time."""
        trust = self._truststore
        with _OutsideTheEventLoop():
            trust.store = store = openssl.store()
            trust.problems = list(store.problems)
            if store.by_openssl:
                super().set_default_verify_paths()
            else:
                self._load(store)
            for file in trust.extra_files():
                try:
                    super().load_verify_locations(cafile=file)
                except (OSError, ssl.SSLError) as error:
                    trust.cannot_use_extra(file, error)
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
        if trust.stock or not trust.lists_the_system:
            return super()
        verifier = trust.verifier()
        if verifier is not None:
            return self._with_roots(verifier)
        with trust.configuration_lock():
            if not trust.configured:
                self._configure()
            # SSL_CERT_DIR is never listed by the standard library, so neither do we.
            if not trust.enumerable and trust.store is not None and not trust.store.from_environment:
                self._load(openssl.Store("listing", files=trust.store.all_files()))
                trust.enumerable = True
        return super()

    def _with_roots(self, verifier: Verifier) -> Any:
        listing = Genuine.__new__(Genuine, ssl.PROTOCOL_TLS_CLIENT)
        for der in (*verifier.roots(), *self._truststore.extra_anchors()):
            try:
                _Raw.load_verify_locations(listing, cadata=der)
            except ssl.SSLError:  # a store may hold what OpenSSL cannot parse
                continue
        return listing
