"""Windows: CryptoAPI builds the chain, judges it and matches the name.

How a chain is judged
=====================

1. The leaf becomes a certificate context, the rest of the peer chain a store in memory. That store only *offers*
   certificates; what is in it is not trusted.
2. `CertGetCertificateChain` builds a chain with the user's default engine, which knows the machine's and the user's
   roots, group policy, the disallowed certificates and the roots that Windows fetches on demand. The chain must be good
   for serverAuth.
3. `CertVerifyCertificateChainPolicy` applies the SSL policy, which also matches the server name.
4. Accepted is a chain for which the policy reports no error *and* whose own status has no error bit. The second
   question is asked since the policy decides which bits matter to it, and we would rather not accept a chain over
   which the system had a complaint. (Go's crypto/x509 asks both questions too.)
5. Extra anchors: if there are any, and the default engine's only complaint was that the chain leads to no trusted
   root, steps 2 to 4 run once more with an engine that trusts the extra anchors *and nothing else*. No other
   complaint is ever given a second chance.

What the second engine answers is final. The extra anchors must be self-signed: to let an intermediate be an anchor an
engine needs a flag (CERT_CHAIN_EXCLUSIVE_ENABLE_CA_FLAG) in a field that we leave out, see `CERT_CHAIN_ENGINE_CONFIG`.

Revocation is checked if the program asked for it, and then an answer is needed: unknown is a refusal, as with
OpenSSL's VERIFY_CRL_CHECK_LEAF. A missing intermediate may be fetched (AIA), as by every program on Windows that leaves
the verdict to the system.

Everything made is released by a `with` block, whatever happens. The verifier keeps no state: threads share it freely.
"""

from __future__ import annotations

import contextlib
import ctypes
import ssl
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton

from truststore._errors import Reason, machinery_error, verification_error
from truststore._ffi import crypt32
from truststore._verify import Revocation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from truststore._verify import Options

# How long all retrievals for one chain may take: revocation lists, OCSP answers, missing intermediates.
URL_RETRIEVAL_TIMEOUT_MS = 10_000

# The engine that every program of the user shares (HCCE_CURRENT_USER).
DEFAULT_ENGINE = None

# With no revocation asked for, CACHE_ONLY says once more that nothing is to be fetched. A root is left out of CHAIN:
# it has no issuer that could revoke it, and most name no list. Flags: CertGetCertificateChain's reference page.
_CHAIN_FLAGS = {
    Revocation.NONE: crypt32.CERT_CHAIN_REVOCATION_CHECK_CACHE_ONLY,
    Revocation.LEAF: (
        crypt32.CERT_CHAIN_REVOCATION_CHECK_END_CERT | crypt32.CERT_CHAIN_REVOCATION_ACCUMULATIVE_TIMEOUT
    ),
    Revocation.CHAIN: (
        crypt32.CERT_CHAIN_REVOCATION_CHECK_CHAIN_EXCLUDE_ROOT | crypt32.CERT_CHAIN_REVOCATION_ACCUMULATIVE_TIMEOUT
    ),
}

# HRESULT -> reason. Sources: [policy] CERT_CHAIN_POLICY_STATUS and [winerror] winerror.h, both Microsoft's; the page
# lists the codes that CertVerifyCertificateChainPolicy reports in dwError. What is absent is Reason.OTHER, a refusal.
_REASON_BY_HRESULT = {
    crypt32.TRUST_E_CERT_SIGNATURE: Reason.BAD_SIGNATURE,  # [policy] base
    crypt32.CRYPT_E_REVOKED: Reason.REVOKED,  # [policy] base
    crypt32.CERT_E_UNTRUSTEDROOT: Reason.UNTRUSTED_ROOT,  # [policy] base, SSL
    crypt32.CERT_E_UNTRUSTEDTESTROOT: Reason.UNTRUSTED_ROOT,  # [policy] base
    crypt32.CERT_E_CHAINING: Reason.UNKNOWN_ISSUER,  # [policy] base
    crypt32.CERT_E_WRONG_USAGE: Reason.WRONG_PURPOSE,  # [policy] base
    crypt32.CERT_E_EXPIRED: Reason.EXPIRED,  # [policy] base; or not valid yet, see _time_reason
    crypt32.CERT_E_INVALID_NAME: Reason.NAME_CONSTRAINT,  # [policy] base
    crypt32.CERT_E_INVALID_POLICY: Reason.STANDARDS,  # [policy] base
    crypt32.TRUST_E_BASIC_CONSTRAINTS: Reason.NOT_A_CA,  # [policy] base, basic constraints
    crypt32.CERT_E_CRITICAL: Reason.UNKNOWN_CRITICAL_EXTENSION,  # [policy] base, [winerror]
    crypt32.CERT_E_VALIDITYPERIODNESTING: Reason.STANDARDS,  # [policy] base
    crypt32.CRYPT_E_NO_REVOCATION_CHECK: Reason.REVOCATION_UNKNOWN,  # [policy] base
    crypt32.CRYPT_E_REVOCATION_OFFLINE: Reason.REVOCATION_UNKNOWN,  # [policy] base
    crypt32.CERT_E_PURPOSE: Reason.WRONG_PURPOSE,  # [policy] SSL
    crypt32.CERT_E_ROLE: Reason.NOT_A_CA,  # [policy] SSL, [winerror]: an end entity acts as a CA or the reverse
    crypt32.CERT_E_CN_NO_MATCH: Reason.WRONG_NAME,  # [policy] SSL; or the wrong IP address, see _reason
    crypt32.CERT_E_REVOKED: Reason.REVOKED,  # [policy] Authenticode, [winerror]
    crypt32.CERT_E_REVOCATION_FAILURE: Reason.REVOCATION_UNKNOWN,  # [policy] Authenticode, [winerror]
    crypt32.CERT_E_PATHLENCONST: Reason.PATH_TOO_LONG,  # [winerror]
    crypt32.CERT_E_ISSUERCHAINING: Reason.UNKNOWN_ISSUER,  # [winerror]
    crypt32.CERT_E_MALFORMED: Reason.BAD_ENCODING,  # [winerror]
    crypt32.TRUST_E_EXPLICIT_DISTRUST: Reason.DISTRUSTED,  # [winerror]
    crypt32.CERT_E_UNTRUSTEDCA: Reason.DISTRUSTED,  # [winerror]: a CA that is not trusted as such
    crypt32.NTE_BAD_SIGNATURE: Reason.BAD_SIGNATURE,  # [winerror]
    crypt32.CRYPT_E_NO_REVOCATION_DLL: Reason.REVOCATION_UNKNOWN,  # [winerror]
    crypt32.CRYPT_E_NOT_IN_REVOCATION_DATABASE: Reason.REVOCATION_UNKNOWN,  # [winerror]
}

# Bit of CERT_TRUST_STATUS.dwErrorStatus -> HRESULT and reason, the gravest first: what the chain itself complains
# about. Source: the CERT_TRUST_STATUS page; the HRESULT is the one that [policy] gives to the same fault, or the
# general failure where it has none. Bits that are absent are a general failure as well.
_FAULT_BY_TRUST_BIT = (
    (crypt32.CERT_TRUST_IS_EXPLICIT_DISTRUST, crypt32.TRUST_E_EXPLICIT_DISTRUST, Reason.DISTRUSTED),
    (crypt32.CERT_TRUST_IS_NOT_SIGNATURE_VALID, crypt32.TRUST_E_CERT_SIGNATURE, Reason.BAD_SIGNATURE),
    (crypt32.CERT_TRUST_IS_REVOKED, crypt32.CRYPT_E_REVOKED, Reason.REVOKED),
    (crypt32.CERT_TRUST_IS_NOT_TIME_VALID, crypt32.CERT_E_EXPIRED, Reason.EXPIRED),
    (crypt32.CERT_TRUST_IS_NOT_TIME_NESTED, crypt32.CERT_E_VALIDITYPERIODNESTING, Reason.STANDARDS),
    (crypt32.CERT_TRUST_IS_NOT_VALID_FOR_USAGE, crypt32.CERT_E_WRONG_USAGE, Reason.WRONG_PURPOSE),
    (crypt32.CERT_TRUST_INVALID_BASIC_CONSTRAINTS, crypt32.TRUST_E_BASIC_CONSTRAINTS, Reason.NOT_A_CA),
    (
        crypt32.CERT_TRUST_INVALID_NAME_CONSTRAINTS
        | crypt32.CERT_TRUST_HAS_NOT_SUPPORTED_NAME_CONSTRAINT
        | crypt32.CERT_TRUST_HAS_NOT_DEFINED_NAME_CONSTRAINT
        | crypt32.CERT_TRUST_HAS_NOT_PERMITTED_NAME_CONSTRAINT
        | crypt32.CERT_TRUST_HAS_EXCLUDED_NAME_CONSTRAINT,
        crypt32.CERT_E_INVALID_NAME,
        Reason.NAME_CONSTRAINT,
    ),
    (
        crypt32.CERT_TRUST_HAS_NOT_SUPPORTED_CRITICAL_EXT,
        crypt32.CERT_E_CRITICAL,
        Reason.UNKNOWN_CRITICAL_EXTENSION,
    ),
    (
        crypt32.CERT_TRUST_INVALID_POLICY_CONSTRAINTS | crypt32.CERT_TRUST_NO_ISSUANCE_CHAIN_POLICY,
        crypt32.CERT_E_INVALID_POLICY,
        Reason.STANDARDS,
    ),
    (crypt32.CERT_TRUST_INVALID_EXTENSION, crypt32.CERT_E_MALFORMED, Reason.STANDARDS),
    (crypt32.CERT_TRUST_HAS_WEAK_SIGNATURE, crypt32.TRUST_E_FAIL, Reason.WEAK_SIGNATURE),
    (crypt32.CERT_TRUST_IS_UNTRUSTED_ROOT, crypt32.CERT_E_UNTRUSTEDROOT, Reason.UNTRUSTED_ROOT),
    (
        crypt32.CERT_TRUST_IS_PARTIAL_CHAIN | crypt32.CERT_TRUST_IS_CYCLIC,
        crypt32.CERT_E_CHAINING,
        Reason.UNKNOWN_ISSUER,
    ),
    (
        crypt32.CERT_TRUST_IS_OFFLINE_REVOCATION,
        crypt32.CRYPT_E_REVOCATION_OFFLINE,
        Reason.REVOCATION_UNKNOWN,
    ),
    (
        crypt32.CERT_TRUST_REVOCATION_STATUS_UNKNOWN,
        crypt32.CRYPT_E_NO_REVOCATION_CHECK,
        Reason.REVOCATION_UNKNOWN,
    ),
)

# What a chain lacks that extra anchors can supply.
_NO_TRUSTED_ROOT = crypt32.CERT_TRUST_IS_UNTRUSTED_ROOT | crypt32.CERT_TRUST_IS_PARTIAL_CHAIN

# Windows does not find out about revocation in a chain that it does not trust, and says so with these.
_REVOCATION_UNKNOWN = crypt32.CERT_TRUST_REVOCATION_STATUS_UNKNOWN | crypt32.CERT_TRUST_IS_OFFLINE_REVOCATION

# wincrypt.h numbers all errors of the ASN.1 decoders from these two on.
_FIRST_DECODER_ERROR, _LAST_DECODER_ERROR = crypt32.CRYPT_E_OSS_ERROR, crypt32.CRYPT_E_ASN1_EXTENDED + 0xFE


class _Verdict:
    """What the system said about one chain, copied out of its memory.

    `policy_error` is the HRESULT of the SSL policy, `trust_errors` the chain's error bits; `length` counts the chain's
    certificates, and `time_validity` is CertVerifyTimeValidity's answer (-1 too early, 1 too late) for the first
    certificate that is not valid now, else 0.
    """

    __slots__ = ("length", "policy_error", "time_validity", "trust_errors")

    def __init__(self, policy_error: int, trust_errors: int, length: int, time_validity: int) -> None:
        self.policy_error = policy_error
        self.trust_errors = trust_errors
        self.length = length
        self.time_validity = time_validity

    @property
    def accepted(self) -> bool:
        """Both questions were asked, and neither answer holds a complaint."""
        return self.policy_error == 0 and self.trust_errors == 0 and self.length > 0

    def lacks_only_a_root(self, revocation: Revocation) -> bool:
        """Whether trust in the root is all that is missing, so that extra anchors may be asked."""
        missing = _NO_TRUSTED_ROOT
        if revocation is not Revocation.NONE:
            missing |= _REVOCATION_UNKNOWN  # a consequence; the second chain must clear it up, or is refused
        return bool(self.trust_errors & _NO_TRUSTED_ROOT) and not self.trust_errors & ~missing


class WindowsVerifier:
    """Judges peer chains by the trust store of Windows, through CryptoAPI.

    `bindings` are the functions to call; by default the system's, loaded at the first verification.
    """

    def __init__(self, bindings: crypt32.Bindings | None = None) -> None:
        self._bindings = bindings

    @property
    def name(self) -> str:
        return "Windows CryptoAPI"

    def verify(self, chain: Sequence[bytes], options: Options) -> None:
        """Return None if Windows trusts `chain` (DER, leaf first) under `options`.

        Raises `ssl.SSLCertVerificationError` for a verdict against the peer, `ssl.SSLError` if a call fails.
        """
        if not chain:
            raise verification_error(Reason.NO_CERTIFICATE)
        api = _Api(self._load())
        server_name = _normalized(options.server_name)
        with contextlib.ExitStack() as owned:
            leaf = owned.enter_context(api.certificate(chain[0]))
            offered = owned.enter_context(api.memory_store())
            for der in chain[1:]:
                api.add(offered, der)
            verdict = api.judge(DEFAULT_ENGINE, leaf, offered, server_name, options.revocation)
            if options.extra_anchors and verdict.lacks_only_a_root(options.revocation):
                engine = owned.enter_context(api.exclusive_engine(options.extra_anchors))
                for der in options.extra_anchors:
                    api.add(offered, der)  # an intermediate among them helps to build the chain, untrusted
                verdict = api.judge(engine, leaf, offered, server_name, options.revocation)
        if not verdict.accepted:
            raise api.refusal(verdict, server_name, bool(options.extra_anchors))

    def roots(self) -> list[bytes]:
        """The DER certificates of the ROOT store that are good for TLS servers, less the disallowed ones.

        For export and status. Windows fetches further roots when a chain needs them, so the list may be shorter than
        what `verify` accepts. An entry that cannot be read is left out. Raises `ssl.SSLError` if a call fails.
        """
        api = _Api(self._load())
        disallowed = set(api.certificates_of("Disallowed", purpose=None))
        roots = api.certificates_of("ROOT", purpose=crypt32.szOID_PKIX_KP_SERVER_AUTH)
        return [der for der in dict.fromkeys(roots) if der not in disallowed and _is_one_sequence(der)]

    def _load(self) -> crypt32.Bindings:
        if self._bindings is None:
            try:
                self._bindings = crypt32.load()
            except (OSError, AttributeError) as cause:
                raise machinery_error("loading crypt32.dll", str(cause)) from cause
        return self._bindings


class _Api:
    """The calls, each with its result checked and its product owned by a `with` block."""

    def __init__(self, bindings: crypt32.Bindings) -> None:
        self._call = bindings

    # -- what is made, and released -----------------------------------------------------------------------------------

    @contextlib.contextmanager
    def certificate(self, der: bytes) -> Iterator[object]:
        """The peer's leaf as a certificate context. Raises a verdict if Windows cannot decode it."""
        context = self._call.CertCreateCertificateContext(crypt32.X509_ASN_ENCODING, der, len(der))
        if not context:
            raise self._undecodable("CertCreateCertificateContext")
        with self._released("CertFreeCertificateContext", context):
            yield context

    @contextlib.contextmanager
    def memory_store(self) -> Iterator[object]:
        """An empty store that lives in memory."""
        store = self._call.CertOpenStore(crypt32.CERT_STORE_PROV_MEMORY, 0, None, 0, None)
        if not store:
            raise self._failure("CertOpenStore")
        with self._released("CertCloseStore", store, 0):
            yield store

    @contextlib.contextmanager
    def system_store(self, name: str) -> Iterator[object]:
        """The user's view of a system store, to read; it includes the machine's and those of group policy."""
        flags = crypt32.CERT_SYSTEM_STORE_CURRENT_USER | crypt32.CERT_STORE_READONLY_FLAG
        wide_name = crypt32.wide_string(name)
        store = self._call.CertOpenStore(crypt32.CERT_STORE_PROV_SYSTEM_W, 0, None, flags, ctypes.addressof(wide_name))
        if not store:
            raise self._failure("CertOpenStore")
        with self._released("CertCloseStore", store, 0):
            yield store

    @contextlib.contextmanager
    def exclusive_engine(self, anchors: Iterable[bytes]) -> Iterator[object]:
        """A chain engine that trusts `anchors` and nothing else."""
        with self.memory_store() as trusted:
            for der in anchors:
                self.add(trusted, der)
            config = crypt32.CERT_CHAIN_ENGINE_CONFIG(
                cbSize=ctypes.sizeof(crypt32.CERT_CHAIN_ENGINE_CONFIG),
                dwUrlRetrievalTimeout=URL_RETRIEVAL_TIMEOUT_MS,
                hExclusiveRoot=trusted,
            )
            engine = crypt32.HCERTCHAINENGINE()
            if not self._call.CertCreateCertificateChainEngine(ctypes.byref(config), ctypes.byref(engine)):
                raise self._failure("CertCreateCertificateChainEngine")
            # NULL is the name of the default engine: to take it for ours would trust the whole system.
            if not engine:
                raise machinery_error("CertCreateCertificateChainEngine", "it returned no engine")
            with self._released("CertFreeCertificateChainEngine", engine):
                yield engine

    @contextlib.contextmanager
    def _chain(
        self, engine: object, leaf: object, offered: object, revocation: Revocation
    ) -> Iterator[crypt32.CERT_CHAIN_CONTEXT]:
        """The chain that `engine` builds for `leaf`, in the system's memory."""
        usages = (ctypes.c_char_p * 1)(crypt32.szOID_PKIX_KP_SERVER_AUTH)
        parameters = crypt32.CERT_CHAIN_PARA(
            cbSize=ctypes.sizeof(crypt32.CERT_CHAIN_PARA),
            dwUrlRetrievalTimeout=URL_RETRIEVAL_TIMEOUT_MS,
        )
        parameters.RequestedUsage.dwType = crypt32.USAGE_MATCH_TYPE_AND
        parameters.RequestedUsage.Usage.cUsageIdentifier = len(usages)
        parameters.RequestedUsage.Usage.rgpszUsageIdentifier = usages
        chain = crypt32.PCCERT_CHAIN_CONTEXT()
        if not self._call.CertGetCertificateChain(
            engine,
            leaf,
            None,  # now
            offered,
            ctypes.byref(parameters),
            _CHAIN_FLAGS[revocation],
            None,
            ctypes.byref(chain),
        ):
            raise self._failure("CertGetCertificateChain")
        if not chain:
            raise machinery_error("CertGetCertificateChain", "it returned no chain")
        with self._released("CertFreeCertificateChain", chain):
            yield chain.contents

    @contextlib.contextmanager
    def _released(self, release: str, *arguments: object) -> Iterator[None]:
        """Calls `release` at the end. That it failed is reported unless something else is being reported already."""
        function = getattr(self._call, release)
        try:
            yield
        except BaseException:
            function(*arguments)
            raise
        # None is what a function without a result gives.
        if function(*arguments) == 0:
            raise self._failure(release)

    # -- what is asked ------------------------------------------------------------------------------------------------

    def add(self, store: object, der: bytes) -> None:
        """Put `der` into a memory store. Raises a verdict if Windows cannot decode it."""
        if not self._call.CertAddEncodedCertificateToStore(
            store,
            crypt32.X509_ASN_ENCODING,
            der,
            len(der),
            crypt32.CERT_STORE_ADD_USE_EXISTING,
            None,
        ):
            raise self._undecodable("CertAddEncodedCertificateToStore")

    def judge(
        self, engine: object, leaf: object, offered: object, server_name: str | None, revocation: Revocation
    ) -> _Verdict:
        """Build a chain with `engine` and ask for the SSL policy's opinion and for the chain's own status."""
        with self._chain(engine, leaf, offered, revocation) as chain:
            policy_error = self._policy_error(chain, server_name)
            trust_errors = chain.TrustStatus.dwErrorStatus
            elements = _elements(chain)
            time_validity = 0
            if trust_errors & crypt32.CERT_TRUST_IS_NOT_TIME_VALID or policy_error == crypt32.CERT_E_EXPIRED:
                time_validity = self._time_validity(elements)
            return _Verdict(policy_error, trust_errors, len(elements), time_validity)

    def _policy_error(self, chain: crypt32.CERT_CHAIN_CONTEXT, server_name: str | None) -> int:
        ssl_parameters = crypt32.SSL_EXTRA_CERT_CHAIN_POLICY_PARA(
            cbSize=ctypes.sizeof(crypt32.SSL_EXTRA_CERT_CHAIN_POLICY_PARA),
            dwAuthType=crypt32.AUTHTYPE_SERVER,
        )
        if server_name is None:
            ssl_parameters.fdwChecks = crypt32.SECURITY_FLAG_IGNORE_CERT_CN_INVALID
        else:
            ssl_parameters.pwszServerName = crypt32.wide_string(server_name)
        parameters = crypt32.CERT_CHAIN_POLICY_PARA(
            cbSize=ctypes.sizeof(crypt32.CERT_CHAIN_POLICY_PARA),
            dwFlags=0,  # nothing is ignored
            pvExtraPolicyPara=ctypes.pointer(ssl_parameters),
        )
        # Until the call overwrites it, the status is a failure.
        status = crypt32.CERT_CHAIN_POLICY_STATUS(
            cbSize=ctypes.sizeof(crypt32.CERT_CHAIN_POLICY_STATUS), dwError=crypt32.TRUST_E_FAIL
        )
        if not self._call.CertVerifyCertificateChainPolicy(
            crypt32.CERT_CHAIN_POLICY_SSL,
            ctypes.byref(chain),
            ctypes.byref(parameters),
            ctypes.byref(status),
        ):
            raise self._failure("CertVerifyCertificateChainPolicy")
        return int(status.dwError)

    def _time_validity(self, elements: Sequence[crypt32.CERT_CHAIN_ELEMENT]) -> int:
        for element in elements:
            answer = int(self._call.CertVerifyTimeValidity(None, element.pCertContext.contents.pCertInfo))
            if answer:
                return answer
        return 0

    def certificates_of(self, store_name: str, purpose: bytes | None) -> list[bytes]:
        """The DER certificates of a system store, those alone that are good for `purpose` unless that is None."""
        found = []
        with self.system_store(store_name) as store:
            previous = None
            while context := self._call.CertEnumCertificatesInStore(store, previous):
                previous = None  # taken by the call; from here on this one is ours
                try:
                    encoded = context.contents.dwCertEncodingType & crypt32.X509_ASN_ENCODING
                    if encoded and (purpose is None or self._is_good_for(context, purpose)):
                        found.append(ctypes.string_at(context.contents.pbCertEncoded, context.contents.cbCertEncoded))
                except BaseException:
                    self._call.CertFreeCertificateContext(context)
                    raise
                previous = context
            # NULL is both the end and a failure. A store that holds nothing may report the second code.
            if self._call.last_error() not in (crypt32.CRYPT_E_NOT_FOUND, crypt32.ERROR_NO_MORE_FILES, 0):
                raise self._failure("CertEnumCertificatesInStore")
        return found

    def _is_good_for(self, context: object, purpose: bytes) -> bool:
        """Whether the certificate's extension and the store's property together allow `purpose`.

        The function gives the intersection; no usage at all means "every" if the last error is CRYPT_E_NOT_FOUND and
        "none" if it is 0 (its reference page). A certificate whose usages cannot be read is good for nothing.
        """
        size = crypt32.DWORD()
        if not self._call.CertGetEnhancedKeyUsage(context, 0, None, ctypes.byref(size)):
            return self._call.last_error() == crypt32.CRYPT_E_NOT_FOUND
        if size.value < ctypes.sizeof(crypt32.CTL_USAGE):
            return False
        buffer = ctypes.create_string_buffer(size.value)
        if not self._call.CertGetEnhancedKeyUsage(context, 0, buffer, ctypes.byref(size)):
            return False
        unrestricted = self._call.last_error() == crypt32.CRYPT_E_NOT_FOUND
        usage = crypt32.CTL_USAGE.from_buffer(buffer)
        if not usage.cUsageIdentifier:
            return unrestricted
        usages = usage.rgpszUsageIdentifier[: usage.cUsageIdentifier]
        return purpose in usages or crypt32.szOID_ANY_ENHANCED_KEY_USAGE in usages

    # -- what is said -------------------------------------------------------------------------------------------------

    def refusal(self, verdict: _Verdict, server_name: str | None, had_anchors: bool) -> ssl.SSLError:
        """The exception for a verdict that is not `accepted`."""
        trust_errors, code = verdict.trust_errors, verdict.policy_error
        if had_anchors and trust_errors & ~_NO_TRUSTED_ROOT and code in _TRUST_CODES:
            # The extra anchors were not asked, because of something worse than a missing root: say that.
            trust_errors, code = trust_errors & ~_NO_TRUSTED_ROOT, 0
        if code:
            reason = _REASON_BY_HRESULT.get(code, Reason.OTHER)
        elif trust_errors:
            code, reason = _fault(trust_errors)
        else:
            return machinery_error("CertGetCertificateChain", "the chain holds no certificate")
        reason = _refined(reason, verdict, server_name)
        words = f"{self._text(code) or reason.text} ({code:#010x})"
        if reason in (Reason.WRONG_NAME, Reason.WRONG_IP_ADDRESS):
            words += f", certificate is not valid for {server_name!r}"
        return verification_error(reason, words, code)

    def _undecodable(self, call: str) -> ssl.SSLError:
        code = self._call.last_error()
        if _FIRST_DECODER_ERROR <= code <= _LAST_DECODER_ERROR or code == crypt32.CRYPT_E_BAD_ENCODE:
            words = f"{self._text(code) or Reason.BAD_ENCODING.text} ({code:#010x})"
            return verification_error(Reason.BAD_ENCODING, words, code)
        return self._failure(call, code)

    def _failure(self, call: str, code: int | None = None) -> ssl.SSLError:
        if code is None:
            code = self._call.last_error()
        return machinery_error(call, self._text(code) or "the system gives no reason", code)

    def _text(self, code: int) -> str:
        """The system's words for an error code in the user's language, or nothing."""
        buffer = (ctypes.c_uint16 * 1024)()
        flags = (
            crypt32.FORMAT_MESSAGE_FROM_SYSTEM
            | crypt32.FORMAT_MESSAGE_IGNORE_INSERTS
            | crypt32.FORMAT_MESSAGE_MAX_WIDTH_MASK
        )
        length = self._call.FormatMessageW(flags, None, code, 0, buffer, len(buffer), None)
        return bytes(buffer)[: 2 * length].decode("utf-16-le", "replace").strip()


_TRUST_CODES = frozenset((crypt32.CERT_E_UNTRUSTEDROOT, crypt32.CERT_E_CHAINING))


def _elements(chain: crypt32.CERT_CHAIN_CONTEXT) -> list[crypt32.CERT_CHAIN_ELEMENT]:
    """The certificates of the chain, leaf first; nothing if there is no chain. (Several are linked by trust lists.)"""
    if not chain.cChain:
        return []
    simple = chain.rgpChain[0].contents
    return [simple.rgpElement[index].contents for index in range(simple.cElement)]


def _fault(trust_errors: int) -> tuple[int, Reason]:
    for bits, code, reason in _FAULT_BY_TRUST_BIT:
        if trust_errors & bits:
            return code, reason
    return crypt32.TRUST_E_FAIL, Reason.OTHER


def _refined(reason: Reason, verdict: _Verdict, server_name: str | None) -> Reason:
    """`reason`, told apart where OpenSSL has two verify codes and Windows one HRESULT."""
    if reason is Reason.EXPIRED and verdict.time_validity < 0:
        return Reason.NOT_YET_VALID
    if reason is Reason.UNTRUSTED_ROOT and verdict.length == 1:
        return Reason.SELF_SIGNED
    if reason is Reason.WRONG_NAME and server_name is not None and _ip_address(server_name) is not None:
        return Reason.WRONG_IP_ADDRESS
    return reason


def _normalized(server_name: str | None) -> str | None:
    """The name in the form that Windows compares: no trailing dot, an IP address in its shortest text.

    Raises a verdict for a name that cannot be anybody's. It must not reach the system: a zero character would end it
    early there, and an empty one might mean that the name is not checked.
    """
    if server_name is None:
        return None
    name = server_name.removesuffix(".")
    if not name or "\0" in name or not name.isascii():
        raise verification_error(Reason.WRONG_NAME, f"{server_name!r} is neither a DNS name in ASCII nor an IP address")
    return _ip_address(name) or name


def _ip_address(name: str) -> str | None:
    """The shortest text of an IPv4 or IPv6 address, or None for anything else."""
    for family in (AF_INET, AF_INET6):
        try:
            return inet_ntop(family, inet_pton(family, name))
        except OSError:
            continue
    return None


def _is_one_sequence(der: bytes) -> bool:
    """Whether `der` is one ASN.1 SEQUENCE and nothing else, as every certificate is (X.690, 8.1)."""
    if len(der) < 2 or der[0] != 0x30:
        return False
    if der[1] < 0x80:
        return len(der) == 2 + der[1]
    octets = der[1] & 0x7F
    return 0 < octets <= 4 and len(der) == 2 + octets + int.from_bytes(der[2 : 2 + octets], "big")
