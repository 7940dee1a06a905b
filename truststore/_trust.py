"""Whom one context trusts: what its program asked for so far, and what follows from it.

| the program does | trusted |
| --- | --- |
| nothing, or asks for the default certificates | the system store |
| asks for the default certificates and loads X | the system store and X |
| only loads X | X: a *pinned* context |
| takes the class from `truststore`, or injects by itself, and loads X (*additive*) | the system store and X |
| loads a vendored public bundle, or the system's own | as if it asked for the default certificates |

SSL_CERT_FILE and SSL_CERT_DIR stand for the system store where they are set; TRUSTSTORE_EXTRA_CA_CERTS adds to it.
Nothing here knows a context: `_context` asks, and acts.
"""

from __future__ import annotations

import os
import ssl
import warnings
from _thread import RLock

from truststore import _bundles, _pem, _verify
from truststore._backends import openssl
from truststore._environment import debug, settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from truststore._verify import Verifier

# What loading a file asks for.
DEFAULT, KEPT, CHOSEN = "the default store", "a bundle besides the default store", "that file"

# The codes with which OpenSSL says that it found no trusted issuer (openssl/x509_vfy.h).
_UNKNOWN_ISSUER_CODES = (2, 18, 19, 20, 21, 27)


class Trust:
    """What the program asked of one context, and what has become of it."""

    __slots__ = (
        "_extra",
        "_locks",
        "additive",
        "anchors",
        "asked_for_default",
        "chose_anchors",
        "configured",
        "consulted",
        "delegable",
        "enumerable",
        "genuine_in",
        "problems",
        "skipped_bundles",
        "sources",
        "store",
        "strict_withheld",
        "verification_off",
    )

    stock = False  # as on what stands in for it: see _context._Stock

    def __init__(self, additive: bool) -> None:
        self.genuine_in: int | None = None  # a thread, for a moment only: see SSLContext.load_default_certs
        self.additive = additive
        self.asked_for_default = False
        self.sources: list[str] = []  # what was loaded, in words
        self.chose_anchors = False  # some of it was the program's choice, not a vendored bundle that somebody changed
        self.anchors: list[bytes] = []  # what was loaded as DER, for a verifier
        self._extra: list[bytes] | None = None  # TRUSTSTORE_EXTRA_CA_CERTS as DER, for a verifier
        self.skipped_bundles: list[str] = []
        self.delegable = _verify.system_verifier() is not None
        if self.delegable:
            import truststore._gate  # noqa: F401  # not only at the first connection: see _context._trust_module
        self.configured = False  # OpenSSL has the store's anchors
        self.consulted = False  # the verifier has judged, or will judge, a peer of this context
        self.enumerable = False  # OpenSSL has all anchors of the store, to list them
        self.store: openssl.Store | None = None
        self.problems: list[str] = []
        self.strict_withheld = False
        # (verify_mode, check_hostname) as the program set them, while OpenSSL's are off
        self.verification_off: tuple[int, bool] | None = None
        self._locks: dict[int, RLock] = {}  # by process

    @property
    def pinned(self) -> bool:
        """Only what the program loaded is trusted: the standard library's meaning."""
        return bool(self.sources) and not self.additive and not self.asked_for_default

    @property
    def lists_the_system(self) -> bool:
        """Whether `get_ca_certs` answers with the system's roots. A context on which nothing was done yet says what the
        standard library says, though it would trust them."""
        used = self.asked_for_default or self.additive or self.configured or self.consulted
        return used and not self.pinned

    def verifier(self) -> Verifier | None:
        """Who decides about this context's peers; None for OpenSSL."""
        if not self.delegable or self.pinned or self.configured:
            return None
        return None if openssl.environment_store() is not None else _verify.system_verifier()

    def withholds_strict(self) -> bool:
        """Whether VERIFY_X509_STRICT is kept from OpenSSL, since the system's own judgement of its roots stands.

        As on macOS and Windows: Python 3.13 and urllib3 set the flag by default, and many a company's root breaks it.
        It is not withheld if the program loaded anchors of its own choice, nor with TRUSTSTORE_STRICT=1.
        """
        return self.configured and not self.chose_anchors and not settings.strict

    def configuration_lock(self) -> RLock:
        """Keeps threads from configuring one context at once. A fork may copy it locked; a child takes a new one."""
        process = os.getpid()
        # setdefault: of two threads that ask for the first time, both get the same.
        return self._locks.get(process) or self._locks.setdefault(process, RLock())

    # ---- what the program loads -------------------------------------------------------------------------------------

    def meaning_of(self, cafile: Any) -> str:
        """What loading `cafile` asks for: `DEFAULT`, `KEPT` or `CHOSEN`."""
        try:
            path = os.fsdecode(cafile)
        except TypeError:
            return CHOSEN  # _ssl says what is wrong with it
        if openssl.environment_store() is None and _is_same_file(path, openssl.system_store().bundle):
            return DEFAULT
        judgement = _bundles.judge(path)
        if judgement == _bundles.CHOSEN:
            return CHOSEN
        if judgement == _bundles.CHANGED or settings.keep_bundled:
            debug(f"{path}: kept as extra anchors ({judgement})")
            return KEPT
        if not openssl.store() and not self.delegable:
            _warn_once(f"no system trust store was found; {path} is trusted in its stead")
            return KEPT
        debug(f"{path}: not loaded, the system store decides ({judgement})")
        self.skipped_bundles.append(path)
        return DEFAULT

    def is_system_directory(self, capath: Any) -> bool:
        """Whether `capath` is the hashed directory of the system store."""
        try:
            path = os.fsdecode(capath)
        except TypeError:
            return False
        return openssl.environment_store() is None and _is_same_file(path, openssl.system_store().directory)

    def remember(self, cafile: Any, capath: Any, cadata: Any, *, chosen: bool) -> None:
        """What OpenSSL has just loaded; `chosen` if it was the program's own choice."""
        if chosen:
            self.chose_anchors = True
        self.sources += [str(source) for source in (cafile, capath) if source is not None]
        self.sources += ["cadata"] if cadata is not None else []
        if self.delegable:
            self.anchors += _anchors(cafile, capath, cadata)

    # ---- TRUSTSTORE_EXTRA_CA_CERTS ----------------------------------------------------------------------------------

    def extra_files(self) -> Iterator[str]:
        """The files that TRUSTSTORE_EXTRA_CA_CERTS names, and those in the directories that it names."""
        for path in settings.extra_ca_certs:
            try:
                yield from _pem.files_in_directory(path) if os.path.isdir(path) else [path]
            except OSError as error:
                self.cannot_use_extra(path, error)

    def extra_anchors(self) -> tuple[bytes, ...]:
        """What a verifier trusts besides the system store, as DER."""
        extra = self._extra
        if extra is None:
            extra = []
            for file in self.extra_files():
                try:
                    extra += _pem.certificates_in_file(file)
                except OSError as error:
                    self.cannot_use_extra(file, error)
            self._extra = extra  # not before it is complete: another thread would judge by a part
        return tuple(dict.fromkeys([*self.anchors, *extra]))

    def cannot_use_extra(self, path: str, error: Exception) -> None:
        problem = f"TRUSTSTORE_EXTRA_CA_CERTS names {path!r}, which cannot be used: {error}"
        self.problems.append(problem)
        _warn_once(problem)

    # ---- why not ----------------------------------------------------------------------------------------------------

    def explain(self, error: ssl.SSLCertVerificationError, server_name: str | None, connection: Any) -> None:
        """Add one line to `error`: its cause, whose certificates were trusted, and the command that says more.

        `connection` is the object of `_ssl` that still knows what the peer sent. No network is used.
        """
        from truststore import _errors, _explain  # not before a peer is refused

        trusted = list(self._in_words()) if error.verify_code in _UNKNOWN_ISSUER_CODES else []
        reason = _errors.reason_behind(error)
        note = _explain.note(reason, server_name, _explain.chain_of(connection), trusted)
        _errors.annotate(error, f"truststore: {note}")

    def _in_words(self) -> Iterator[str]:
        if self.pinned:
            loaded = ", ".join(self.sources[:3]) + (", ..." if len(self.sources) > 3 else "")
            yield f"this context trusts only what its program loaded ({loaded}), not the system store"
        elif self.store is not None:
            known = "not trusted by" if self.store else "nothing is trusted:"
            yield f"{known} {self.store.describe()}"
            yield from self.problems
        else:
            yield "not trusted by the system store"


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
