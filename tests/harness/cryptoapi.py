"""A double of CryptoAPI in plain Python, for any OS: it judges small model certificates as Windows documents it.

The verifier calls it as it calls Windows: each function is a real C function (a ctypes callback) with the bindings' own
prototype, and reads the caller's structures from memory. It shows what no Wine and no healthy Windows shows on demand:

* any call can be made to fail, or to succeed without a product;
* every store, context, chain and engine is counted, and what is released is poisoned;
* all revocation outcomes, the system's texts, undecodable certificates, a policy and a chain that disagree.

What the double was asked to do against the rules (a handle that is not alive, a wrong `cbSize`, ...) is in `mistakes`.
"""

from __future__ import annotations

import ctypes
import json
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from truststore._ffi import crypt32

SERVER_AUTH = "1.3.6.1.5.5.7.3.1"
CLIENT_AUTH = "1.3.6.1.5.5.7.3.2"
ANY_USAGE = "2.5.29.37.0"

CRYPT_E_ASN1_EOD = 0x80093102
E_INVALIDARG = 0x80070057
ERROR_NOT_ENOUGH_MEMORY = 8
ERROR_MR_MID_NOT_FOUND = 317
# What GetLastError gives after a call that succeeded: anything. Who reads it then, or reads it too late, gets this.
STALE_ERROR = 0x0BADBAD0

RELEASES = {
    "CertCloseStore",
    "CertFreeCertificateContext",
    "CertFreeCertificateChain",
    "CertFreeCertificateChainEngine",
}

# Functions whose result says nothing about success, and the one that only finds words.
CANNOT_FAIL = {
    "CertFreeCertificateChain",
    "CertFreeCertificateChainEngine",
    "CertVerifyTimeValidity",
    "FormatMessageW",
}


class Model(NamedTuple):
    """A certificate as far as the double knows one. Its `der` is a SEQUENCE that holds JSON.

    `usages` None means every purpose. `revocation` is "good", "revoked", "offline" or "unknown"; `validity` is -1
    before, 1 after and 0 within the certificate's time; `faults` are further bits of CERT_TRUST_STATUS.
    """

    subject: str
    issuer: str
    names: tuple[str, ...] = ()
    usages: tuple[str, ...] | None = None
    revocation: str = "good"
    validity: int = 0
    faults: int = 0

    @property
    def der(self) -> bytes:
        content = json.dumps(self._asdict()).encode()
        return b"\x30\x82" + len(content).to_bytes(2, "big") + content

    @property
    def is_self_signed(self) -> bool:
        return self.subject == self.issuer


UNDECODABLE = b"\x30\x82\x00\x03abc"


def decode(der: bytes) -> Model | None:
    """The model in `der`, or None where a system could not decode it."""
    try:
        fields = json.loads(der[4:])
    except ValueError:
        return None
    usages = fields["usages"]
    return Model(**{**fields, "names": tuple(fields["names"]), "usages": None if usages is None else tuple(usages)})


class Injected(NamedTuple):
    """The call, counted from 0, that fails."""

    call: int
    error: int = ERROR_NOT_ENOUGH_MEMORY


class CryptoApi:
    """One machine's CryptoAPI. `roots` are what its users trust; `system_stores` what its stores hold."""

    def __init__(self, roots: Iterable[Model] = ()) -> None:
        self.system_stores: dict[str, list[bytes]] = {"ROOT": [root.der for root in roots], "Disallowed": []}
        self.texts: dict[int, str] = {}
        self.injected: Injected | None = None
        self.without_product: str | None = None
        self.policy_error: int | None = None  # what the policy says, whatever the chain
        self.chain_is_empty = False
        self.calls: list[str] = []
        self.mistakes: list[str] = []
        self.live: dict[int, str] = {}
        self.failed: str | None = None
        self.error = 0
        # What was asked for.
        self.engines_used: list[str] = []
        self.server_names: list[str | None] = []
        self.revocation_checked: list[str] = []
        self.timeouts: list[int] = []
        self.cache_only: list[bool] = []
        self._handles = iter(range(0x1000, 1 << 30, 16))
        self._stores: dict[int, list[bytes]] = {}
        self._engines: dict[int, list[bytes]] = {}
        self._cursors: dict[int, int] = {}
        self._chains: dict[int, dict[int, Model]] = {}  # the certificates of each live chain, by what identifies them
        self._memory: list[Any] = []  # kept after release, so that reading it then finds the poison
        self._functions: list[Any] = []

    def bindings(self) -> crypt32.Bindings:
        return crypt32.Bindings(self._resolve, lambda: self.error)

    def assert_clean(self) -> None:
        """Nothing is alive, and no call broke a rule."""
        assert self.mistakes == []
        assert self.live == {}

    # -- plumbing -----------------------------------------------------------------------------------------------------

    def _resolve(self, library: str, name: str, result: Any, arguments: tuple[Any, ...]) -> Any:
        # Bytes arrive as an address, so that the length that was passed counts and not the first zero in them.
        seen = [ctypes.c_void_p if kind is ctypes.c_char_p else kind for kind in arguments]
        # A callback cannot return a typed pointer; an address is the same to C.
        returned = ctypes.c_void_p if result is crypt32.PCCERT_CONTEXT else result
        callback = ctypes.CFUNCTYPE(returned, *seen)(self._guarded(name, getattr(self, name)))
        self._functions.append(callback)
        address = ctypes.cast(callback, ctypes.c_void_p).value
        assert address is not None
        return ctypes.CFUNCTYPE(result, *arguments)(address)

    def _guarded(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            index = len(self.calls)
            self.calls.append(name)
            if self.injected is not None and self.injected.call == index:
                return self._fail(name, arguments)
            self.error = STALE_ERROR
            try:
                return function(*arguments)
            except Exception as mistake:
                self.mistakes.append(f"{name}: {mistake!r}")
                return 0

        return call

    def _fail(self, name: str, arguments: tuple[Any, ...]) -> int:
        """A failing release is over all the same, and a failing enumeration has taken the previous context."""
        assert self.injected is not None
        self.failed = name
        if name in RELEASES:
            self._release(arguments[0])
        if name == "CertEnumCertificatesInStore" and arguments[1]:
            self._release(arguments[1])
        self.error = self.injected.error
        return 0

    def _refuse(self, error: int) -> int:
        self.error = error
        return 0

    def _new_handle(self, kind: str) -> int:
        handle = next(self._handles)
        self.live[handle] = kind
        return handle

    def _alive(self, handle: Any, kind: str) -> int:
        address = ctypes.addressof(handle.contents) if hasattr(handle, "contents") else int(handle)
        if self.live.get(address) != kind:
            raise LookupError(f"{address:#x} is no live {kind}")
        return address

    def _release(self, handle: Any) -> None:
        address = ctypes.addressof(handle.contents) if hasattr(handle, "contents") else int(handle)
        if address not in self.live:
            raise LookupError(f"{address:#x} released twice, or never made")
        kind = self.live.pop(address)
        if kind == "context":
            crypt32.CERT_CONTEXT.from_address(address).cbCertEncoded = 0
        if kind == "chain":
            poisoned = crypt32.CERT_CHAIN_CONTEXT.from_address(address)
            poisoned.TrustStatus.dwErrorStatus = 0xDEADDEAD
            poisoned.cChain = 0
            del self._chains[address]

    # -- stores and certificates --------------------------------------------------------------------------------------

    def CertOpenStore(self, provider: int, encoding: int, key: Any, flags: int, parameter: Any) -> int:
        if provider == crypt32.CERT_STORE_PROV_MEMORY:
            assert flags == 0
            content: list[bytes] = []
        else:
            assert provider == crypt32.CERT_STORE_PROV_SYSTEM_W
            assert flags & crypt32.CERT_SYSTEM_STORE_CURRENT_USER
            assert flags & crypt32.CERT_STORE_READONLY_FLAG, "the machine's store must not be opened to write"
            content = self.system_stores[_wide_at(parameter)]
        handle = self._new_handle("store")
        self._stores[handle] = content
        return handle

    def CertCloseStore(self, store: int, flags: int) -> int:
        self._release(self._alive(store, "store"))
        return 1

    def CertAddEncodedCertificateToStore(
        self, store: int, encoding: int, address: int, size: int, disposition: int, context: Any
    ) -> int:
        assert encoding == crypt32.X509_ASN_ENCODING
        assert disposition == crypt32.CERT_STORE_ADD_USE_EXISTING
        assert context is None
        der = ctypes.string_at(address, size)
        if decode(der) is None:
            return self._refuse(CRYPT_E_ASN1_EOD)
        content = self._stores[self._alive(store, "store")]
        if der not in content:
            content.append(der)
        return 1

    def _new_context(self, der: bytes) -> int:
        encoded = (ctypes.c_ubyte * len(der)).from_buffer_copy(der)
        context = crypt32.CERT_CONTEXT(
            dwCertEncodingType=crypt32.X509_ASN_ENCODING, pbCertEncoded=encoded, cbCertEncoded=len(der)
        )
        address = ctypes.addressof(context)
        self._memory.append(context)
        self.live[address] = "context"
        return address

    def _der_of(self, context: Any) -> bytes:
        found = crypt32.CERT_CONTEXT.from_address(self._alive(context, "context"))
        return ctypes.string_at(found.pbCertEncoded, found.cbCertEncoded)

    def CertCreateCertificateContext(self, encoding: int, address: int, size: int) -> int:
        assert encoding == crypt32.X509_ASN_ENCODING
        der = ctypes.string_at(address, size)
        return self._new_context(der) if decode(der) is not None else self._refuse(CRYPT_E_ASN1_EOD)

    def CertFreeCertificateContext(self, context: Any) -> int:
        self._alive(context, "context")
        self._release(context)
        return 1

    def CertEnumCertificatesInStore(self, store: int, previous: Any) -> int:
        content = self._stores[self._alive(store, "store")]
        position = 0
        if previous:
            position = self._cursors[self._alive(previous, "context")] + 1
            self._release(previous)
        elif "context" in self.live.values():
            raise LookupError("an enumeration begins while the context of another one is alive")
        if position >= len(content):
            return self._refuse(crypt32.CRYPT_E_NOT_FOUND)
        context = self._new_context(content[position])
        self._cursors[context] = position
        return context

    def CertGetEnhancedKeyUsage(self, context: Any, flags: int, usage: int | None, size: Any) -> int:
        assert flags == 0, "the extension and the store's property count together"
        model = decode(self._der_of(context))
        if model is None:
            return self._refuse(CRYPT_E_ASN1_EOD)
        usages = [usage.encode() for usage in model.usages or ()]
        header = ctypes.sizeof(crypt32.CTL_USAGE)
        needed = header + 8 * len(usages) + sum(len(text) + 1 for text in usages)
        if usage is None:
            size.contents.value = needed
            return 1
        assert size.contents.value >= needed
        table = (ctypes.c_char_p * len(usages)).from_address(usage + header)
        end = usage + header + 8 * len(usages)
        pointers = (ctypes.c_uint64 * len(usages)).from_address(ctypes.addressof(table))
        for index, text in enumerate(usages):
            ctypes.memmove(end, text + b"\0", len(text) + 1)
            pointers[index] = end
            end += len(text) + 1
        found = crypt32.CTL_USAGE.from_address(usage)
        found.cUsageIdentifier = len(usages)
        ctypes.c_uint64.from_address(usage + 8).value = ctypes.addressof(table)
        self.error = crypt32.CRYPT_E_NOT_FOUND if model.usages is None else 0
        return 1

    # -- chains -------------------------------------------------------------------------------------------------------

    def CertCreateCertificateChainEngine(self, config: Any, engine: Any) -> int:
        asked = config.contents
        if asked.cbSize != 80:
            return self._refuse(E_INVALIDARG)
        assert asked.dwFlags == 0
        assert not asked.hRestrictedRoot
        if asked.hExclusiveRoot:
            trusted = list(self._stores[self._alive(asked.hExclusiveRoot, "store")])
        else:
            trusted = self.system_stores["ROOT"]
        if self.without_product != "CertCreateCertificateChainEngine":
            handle = self._new_handle("engine")
            self._engines[handle] = trusted
            engine.contents.value = handle
        return 1

    def CertFreeCertificateChainEngine(self, engine: int) -> None:
        self._release(self._alive(engine, "engine"))

    def CertGetCertificateChain(
        self,
        engine: int | None,
        leaf: Any,
        moment: Any,
        additional: int | None,
        parameters: Any,
        flags: int,
        reserved: Any,
        result: Any,
    ) -> int:
        assert not moment
        assert parameters.contents.cbSize == 96
        if engine is None:
            self.engines_used.append("default")
            trusted = self.system_stores["ROOT"]
        else:
            self.engines_used.append("exclusive")
            trusted = self._engines[self._alive(engine, "engine")]
        offered = self._stores[self._alive(additional, "store")] if additional else []
        self.timeouts.append(parameters.contents.dwUrlRetrievalTimeout)
        self.cache_only.append(bool(flags & crypt32.CERT_CHAIN_REVOCATION_CHECK_CACHE_ONLY))
        models, errors = _path(self._der_of(leaf), offered, trusted)
        errors |= _usage_fault(models[0], parameters.contents.RequestedUsage)
        errors |= self._revocation_faults(models, errors, flags)
        if self.without_product != "CertGetCertificateChain":
            result[0] = ctypes.pointer(self._new_chain(models, errors))
        return 1

    def _revocation_faults(self, models: list[Model], errors: int, flags: int) -> int:
        if flags & crypt32.CERT_CHAIN_REVOCATION_CHECK_END_CERT:
            checked = models[:1]
        elif flags & crypt32.CERT_CHAIN_REVOCATION_CHECK_CHAIN_EXCLUDE_ROOT:
            checked = [model for model in models if not model.is_self_signed]
        else:
            return 0
        unknown = crypt32.CERT_TRUST_REVOCATION_STATUS_UNKNOWN
        offline = unknown | crypt32.CERT_TRUST_IS_OFFLINE_REVOCATION
        outcome = {"good": 0, "revoked": crypt32.CERT_TRUST_IS_REVOKED, "unknown": unknown, "offline": offline}
        self.revocation_checked += [model.subject for model in checked]
        faults = 0
        for model in checked:
            faults |= outcome[model.revocation]
        if errors & (crypt32.CERT_TRUST_IS_UNTRUSTED_ROOT | crypt32.CERT_TRUST_IS_PARTIAL_CHAIN):
            faults |= offline  # nothing is found out about a chain that is not trusted
        return faults

    def _new_chain(self, models: list[Model], errors: int) -> crypt32.CERT_CHAIN_CONTEXT:
        elements = []
        for _ in models:
            context = crypt32.CERT_CONTEXT()
            context.pCertInfo = ctypes.addressof(context)
            element = crypt32.CERT_CHAIN_ELEMENT(
                cbSize=ctypes.sizeof(crypt32.CERT_CHAIN_ELEMENT), pCertContext=ctypes.pointer(context)
            )
            self._memory += [context, element]
            elements.append(element)
        element_pointers = (ctypes.POINTER(crypt32.CERT_CHAIN_ELEMENT) * len(elements))(*map(ctypes.pointer, elements))
        simple = crypt32.CERT_SIMPLE_CHAIN(
            cbSize=ctypes.sizeof(crypt32.CERT_SIMPLE_CHAIN), cElement=len(elements), rgpElement=element_pointers
        )
        simple_pointers = (ctypes.POINTER(crypt32.CERT_SIMPLE_CHAIN) * 1)(ctypes.pointer(simple))
        chain = crypt32.CERT_CHAIN_CONTEXT(
            cbSize=ctypes.sizeof(crypt32.CERT_CHAIN_CONTEXT),
            cChain=0 if self.chain_is_empty else 1,
            rgpChain=simple_pointers,
        )
        chain.TrustStatus.dwErrorStatus = errors
        address = ctypes.addressof(chain)
        self._memory.append(chain)
        self.live[address] = "chain"
        self._chains[address] = {
            ctypes.addressof(element.pCertContext.contents): model
            for element, model in zip(elements, models, strict=True)
        }
        return chain

    def CertFreeCertificateChain(self, chain: Any) -> None:
        self._alive(chain, "chain")
        self._release(chain)

    def CertVerifyTimeValidity(self, moment: Any, information: int) -> int:
        assert not moment, "NULL is now"
        for elements in self._chains.values():
            if information in elements:
                return elements[information].validity
        raise LookupError(f"{information:#x} belongs to no live chain")

    def CertVerifyCertificateChainPolicy(self, policy: int, chain: Any, parameters: Any, status: Any) -> int:
        assert policy == crypt32.CERT_CHAIN_POLICY_SSL
        assert parameters.contents.cbSize == 16
        assert parameters.contents.dwFlags == 0
        assert status.contents.cbSize == 24
        ssl_parameters = parameters.contents.pvExtraPolicyPara.contents
        assert ssl_parameters.cbSize == 24
        assert ssl_parameters.dwAuthType == crypt32.AUTHTYPE_SERVER
        pointer = ssl_parameters.pwszServerName
        name = _wide_at(ctypes.addressof(pointer.contents)) if pointer else None
        self.server_names.append(name)
        if ssl_parameters.fdwChecks & crypt32.SECURITY_FLAG_IGNORE_CERT_CN_INVALID:
            name = None
        if self.without_product == "CertVerifyCertificateChainPolicy":
            return 1
        if self.policy_error is None:
            models = list(self._chains[self._alive(chain, "chain")].values())
            status.contents.dwError = _policy_error(models, chain.contents.TrustStatus.dwErrorStatus, name)
        else:
            status.contents.dwError = self.policy_error
        return 1

    # -- words --------------------------------------------------------------------------------------------------------

    def FormatMessageW(
        self, flags: int, source: Any, code: int, language: int, buffer: Any, size: int, arguments: Any
    ) -> int:
        assert flags & crypt32.FORMAT_MESSAGE_FROM_SYSTEM
        assert flags & crypt32.FORMAT_MESSAGE_IGNORE_INSERTS, "%1 in a text would read arguments that are not there"
        units = self.texts.get(code, "").encode("utf-16-le")
        if not units:
            return self._refuse(ERROR_MR_MID_NOT_FOUND)
        assert len(units) // 2 < size
        ctypes.memmove(buffer, units + b"\0\0", len(units) + 2)
        return len(units) // 2


def _wide_at(address: int) -> str:
    units: list[int] = []
    while unit := ctypes.c_uint16.from_address(address + 2 * len(units)).value:
        units.append(unit)
    return b"".join(unit.to_bytes(2, "little") for unit in units).decode("utf-16-le")


def _path(leaf: bytes, offered: list[bytes], trusted: list[bytes]) -> tuple[list[Model], int]:
    """The certificates from the leaf up, and the error bits of the path."""
    roots = [model for der in trusted if (model := decode(der)) is not None and model.is_self_signed]
    known = [model for der in offered if (model := decode(der)) is not None] + roots
    current = decode(leaf)
    assert current is not None
    path = [current]
    while not current.is_self_signed:
        issuers = [model for model in known if model.subject == current.issuer]
        if not issuers:
            break
        current = issuers[0]
        path.append(current)
    errors = 0
    if not current.is_self_signed:
        errors |= crypt32.CERT_TRUST_IS_PARTIAL_CHAIN
    elif current.der not in trusted:
        errors |= crypt32.CERT_TRUST_IS_UNTRUSTED_ROOT
    for model in path:
        errors |= model.faults
        if model.validity:
            errors |= crypt32.CERT_TRUST_IS_NOT_TIME_VALID
    return path, errors


def _usage_fault(leaf: Model, requested: Any) -> int:
    """No usage asked for is no check, as in Windows."""
    wanted = [requested.Usage.rgpszUsageIdentifier[i].decode() for i in range(requested.Usage.cUsageIdentifier)]
    if leaf.usages is None or all(usage in leaf.usages for usage in wanted):
        return 0
    return int(crypt32.CERT_TRUST_IS_NOT_VALID_FOR_USAGE)


# In the order in which the double's policy looks. Bits that are absent it does not know, and does not report.
_POLICY = (
    (crypt32.CERT_TRUST_IS_EXPLICIT_DISTRUST, crypt32.TRUST_E_EXPLICIT_DISTRUST),
    (crypt32.CERT_TRUST_IS_NOT_SIGNATURE_VALID, crypt32.TRUST_E_CERT_SIGNATURE),
    (crypt32.CERT_TRUST_IS_UNTRUSTED_ROOT, crypt32.CERT_E_UNTRUSTEDROOT),
    (crypt32.CERT_TRUST_IS_PARTIAL_CHAIN, crypt32.CERT_E_CHAINING),
    (crypt32.CERT_TRUST_IS_REVOKED, crypt32.CRYPT_E_REVOKED),
    (crypt32.CERT_TRUST_IS_NOT_TIME_VALID, crypt32.CERT_E_EXPIRED),
    (crypt32.CERT_TRUST_IS_NOT_VALID_FOR_USAGE, crypt32.CERT_E_WRONG_USAGE),
    (crypt32.CERT_TRUST_IS_OFFLINE_REVOCATION, crypt32.CRYPT_E_REVOCATION_OFFLINE),
    (crypt32.CERT_TRUST_REVOCATION_STATUS_UNKNOWN, crypt32.CRYPT_E_NO_REVOCATION_CHECK),
)


def _policy_error(models: list[Model], errors: int, name: str | None) -> int:
    for bit, code in _POLICY:
        if errors & bit:
            return code
    if name is not None and not any(_matches(pattern, name.lower()) for pattern in models[0].names):
        return int(crypt32.CERT_E_CN_NO_MATCH)
    return 0


def _matches(pattern: str, name: str) -> bool:
    if pattern.startswith("*."):
        return name.partition(".")[2] == pattern[2:]
    return pattern == name
