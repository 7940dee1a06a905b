"""From a chain and a refusal to causes that are proven.

OpenSSL stops at the first thing that it objects to. `objections` therefore takes one objection away after the other
(trust the chain's own end, do not look at the clock, do not check the name, ...) and asks OpenSSL again, until it
accepts. Each step that makes the objection disappear proves what it was about, and whatever comes next is the next
thing to mend.
"""

from __future__ import annotations

import os
import time
from datetime import datetime, timezone

from truststore import _explain, _oracle
from truststore._commands import inspection
from truststore._errors import Reason, reason_of
from truststore._x509 import BadEncodingError, Certificate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from truststore._commands.deciders import Answer, Decider
    from truststore._commands.roots import Roots
    from truststore._oracle import Assumptions

_CLOCK_TOLERANCE = 3600  # seconds: file servers have clocks of their own
UNTRUSTED = (Reason.UNKNOWN_ISSUER, Reason.UNTRUSTED_ROOT, Reason.SELF_SIGNED, Reason.MISSING_INTERMEDIATE)


# ---- the chain ------------------------------------------------------------------------------------------------------


class Link:
    """A certificate on the way from the leaf to a root. `position` is its place in what the peer sent, None for a root
    that comes from the store."""

    __slots__ = ("certificate", "position")

    def __init__(self, certificate: Certificate, position: int | None) -> None:
        self.certificate = certificate
        self.position = position


class Chain:
    """What the peer sent, in the order in which it is to be read.

    `path` leads from the leaf as far as certificates are known; `missing` is the name of the issuer at which it breaks
    off, None if it ends at a self-issued certificate. `unused` are positions that are not part of it.
    """

    def __init__(self, sent: Sequence[bytes], known: Roots) -> None:
        self.sent = list(sent)
        self.certificates: list[Certificate | None] = [_readable(der) for der in sent]
        self.path: list[Link] = []
        self._follow(known)
        used = {link.position for link in self.path}
        self.unused = [position for position in range(len(self.sent)) if position not in used]
        last = self.path[-1].certificate if self.path else None
        self.missing = last.issuer if last is not None and not last.self_issued else None

    def _follow(self, known: Roots) -> None:
        if not self.certificates or self.certificates[0] is None:
            return
        current = self.certificates[0]
        self.path.append(Link(current, 0))
        while not current.self_issued and len(self.path) <= len(self.sent) + 1:
            root = known.issuer_of(current)
            if root is not None:
                self.path.append(Link(root, None))
                current = root
                continue
            position = self._issuer_among_sent(current)
            if position is None:
                return
            current = self.certificates[position]  # type: ignore[assignment]  # an issuer can be read
            self.path.append(Link(current, position))

    def _issuer_among_sent(self, certificate: Certificate) -> int | None:
        used = {link.position for link in self.path}
        for position, candidate in enumerate(self.certificates):
            if candidate is not None and position not in used and certificate.names_issuer(candidate):
                return position
        return None

    @property
    def leaf(self) -> Certificate | None:
        return self.certificates[0] if self.certificates else None

    @property
    def top(self) -> Certificate | None:
        """The last certificate of the path."""
        return self.path[-1].certificate if self.path else None

    @property
    def in_order(self) -> bool:
        """Whether each certificate that the peer sent is followed by its issuer (RFC 5246; RFC 8446 lets it pass)."""
        positions = [link.position for link in self.path if link.position is not None]
        return positions == sorted(positions)

    def path_certificates(self) -> list[Certificate]:
        return [link.certificate for link in self.path]


def _readable(der: bytes) -> Certificate | None:
    try:
        return Certificate(der)
    except BadEncodingError:
        return None


# ---- objections -----------------------------------------------------------------------------------------------------


class Objection:
    """One thing that was objected to: its `reason`, `facts` in sentences, and what `proof` there is for it."""

    def __init__(self, reason: Reason, message: str, facts: list[str], proof: str = "") -> None:
        self.reason = reason
        self.message = message
        self.facts = facts
        self.proof = proof


class _Relaxation:
    """How to take an objection away: the words for it, and the assumptions without it."""

    __slots__ = ("relax", "words")

    def __init__(self, words: str, relax: Callable[[Assumptions, Chain], Assumptions]) -> None:
        self.words = words
        self.relax = relax


def _trusting_the_end(assumptions: Assumptions, chain: Chain) -> Assumptions:
    end = chain.top
    return assumptions.but(
        load=_oracle.anchors([end.der] if end is not None else []), flags=assumptions.flags | _oracle.PARTIAL_CHAIN
    )


_TRUST_THE_END = _Relaxation("the last certificate of the chain is taken for a trusted one", _trusting_the_end)
_NO_CLOCK = _Relaxation(
    "validity is not looked at", lambda assumptions, _: assumptions.but(flags=assumptions.flags | _oracle.NO_CHECK_TIME)
)
_NO_NAME = _Relaxation("the name is not checked", lambda assumptions, _: assumptions.but(server_name=None))
_NO_STRICT = _Relaxation(
    "VERIFY_X509_STRICT is not set", lambda assumptions, _: assumptions.but(flags=assumptions.flags & ~_oracle.STRICT)
)
_NO_SECURITY_LEVEL = _Relaxation(
    "OpenSSL's security level is 0", lambda assumptions, _: assumptions.but(security_level=0)
)
_NO_REVOCATION = _Relaxation(
    "revocation is not checked", lambda assumptions, _: assumptions.but(flags=assumptions.flags & ~_oracle.CRL_CHECKS)
)

_RELAXATIONS = {
    Reason.UNKNOWN_ISSUER: _TRUST_THE_END,
    Reason.UNTRUSTED_ROOT: _TRUST_THE_END,
    Reason.SELF_SIGNED: _TRUST_THE_END,
    Reason.MISSING_INTERMEDIATE: _TRUST_THE_END,
    Reason.EXPIRED: _NO_CLOCK,
    Reason.NOT_YET_VALID: _NO_CLOCK,
    Reason.WRONG_NAME: _NO_NAME,
    Reason.WRONG_IP_ADDRESS: _NO_NAME,
    Reason.STRICT: _NO_STRICT,
    Reason.WEAK_KEY: _NO_SECURITY_LEVEL,
    Reason.WEAK_SIGNATURE: _NO_SECURITY_LEVEL,
    Reason.REVOKED: _NO_REVOCATION,
    Reason.REVOCATION_UNKNOWN: _NO_REVOCATION,
    Reason.REVOCATION_STALE: _NO_REVOCATION,
}


def objections(
    chain: Chain, server_name: str | None, refusal: Answer, decider: Decider, assumptions: Assumptions
) -> list[Objection]:
    """Everything that is wrong with `chain`, the thing that `refusal` names first."""
    first = refine(refusal.reason or Reason.OTHER, chain, decider.roots)
    found = [Objection(first, refusal.message, _facts(first, chain, server_name, decider))]
    verdict = _oracle.judge(chain.sent, assumptions)
    if verdict.accepted:
        found[0].proof = "OpenSSL accepts this chain with the same roots: the refusal is a rule of the system's own"
        return found
    applied: list[_Relaxation] = []
    while verdict.code:
        reason = refine(reason_of(verdict.code), chain, decider.roots)
        objection = next((it for it in found if it.reason is reason), None)
        if objection is None:
            objection = Objection(reason, verdict.message, _facts(reason, chain, server_name, decider))
            found.append(objection)
        relaxation = _RELAXATIONS.get(reason)
        if relaxation is None or relaxation in applied:
            break
        applied.append(relaxation)
        assumptions = relaxation.relax(assumptions, chain)
        verdict = _oracle.judge(chain.sent, assumptions)
        objection.proof = _proof(applied, verdict)
    return found


def _proof(applied: list[_Relaxation], verdict: _oracle.Verdict) -> str:
    conditions = " and ".join(relaxation.words for relaxation in applied)
    if verdict.accepted:
        return f"OpenSSL accepts the chain if {conditions}"
    if verdict.code is None:
        return ""
    return f"if {conditions}, OpenSSL's next objection is: {verdict.message} ({verdict.code})"


def refine(reason: Reason, chain: Chain, known: Roots) -> Reason:
    """Which of the reasons for an unknown issuer it is, by what the peer sent and what the store holds."""
    leaf, top = chain.leaf, chain.top
    if reason not in UNTRUSTED or leaf is None or top is None:
        return reason
    if leaf.self_issued:
        return Reason.SELF_SIGNED
    if top.self_issued:
        return Reason.UNTRUSTED_ROOT if top not in known else reason
    # The path breaks off at the leaf, although something else was sent, or it says where its issuer is to be had: then
    # the issuer exists, and was not sent.
    breaks_off_at_leaf = len(chain.path) == 1
    if breaks_off_at_leaf and (chain.unused or leaf.ca_issuers):
        return Reason.MISSING_INTERMEDIATE
    return Reason.UNKNOWN_ISSUER


def _facts(reason: Reason, chain: Chain, server_name: str | None, decider: Decider) -> list[str]:
    found = _explain.facts(reason, chain.path_certificates(), server_name)
    if reason in (Reason.EXPIRED, Reason.NOT_YET_VALID):
        found += _clock_facts(decider)
    top = chain.top
    if reason in UNTRUSTED and top is not None:
        found += _issuer_facts(reason, chain, top, decider)
    if reason in (Reason.REVOKED, Reason.REVOCATION_UNKNOWN, Reason.REVOCATION_STALE):
        urls = [url for certificate in chain.path_certificates() for url in certificate.crl_urls]
        found += [f"revocation list: {url}" for url in urls]
    return found


def _clock_facts(decider: Decider) -> list[str]:
    """Proof that the clock is slow: something on this computer was written in what it takes for the future."""
    store = decider.store
    places = [
        __file__,
        *(store.files if store is not None else ()),
        *([store.directory] if store and store.directory else []),
    ]
    for place in places:
        try:
            written = os.stat(place).st_mtime
        except OSError:
            continue
        if written > time.time() + _CLOCK_TOLERANCE:
            when = datetime.fromtimestamp(written, timezone.utc)
            return [f"the clock is slow: {place} was written on {_explain.moment(when)}"]
    return []


def _issuer_facts(reason: Reason, chain: Chain, top: Certificate, decider: Decider) -> list[str]:
    if not len(decider.roots):
        return [f"the chain ends at '{top.subject}', and no root at all is trusted"]
    among = f"in {decider.roots.name}, which holds {decider.roots}"
    if top.self_issued:
        return [f"the chain ends at '{top.subject}', which is not {among}"]
    found = [
        f"the server sent {_certificates(len(chain.sent))}; '{top.issuer}', which issued '{top.subject}', was not sent "
        f"and is not {among}"
    ]
    if reason is Reason.MISSING_INTERMEDIATE and chain.unused:
        found.append("what else it sent did not issue this certificate")
    return found + [f"the certificate says that its issuer is to be had at {url}" for url in top.ca_issuers]


def _certificates(count: int) -> str:
    return f"{count} certificate{'' if count == 1 else 's'}"


# ---- inspection -----------------------------------------------------------------------------------------------------


class Inspection:
    """Somebody on the way decrypts the connection, or may do so.

    `product` is the inspecting product that the certificates name, None where only the root speaks for it; then it may
    as well be the host's own private CA. `by` names the issuer that speaks for it; `root` is its root in the system
    store, None if that does not hold it, and `local_file` where the administrator put it.
    """

    def __init__(
        self, product: inspection.Product | None, by: str, root: Certificate | None, bundle: str | None
    ) -> None:
        self.product = product
        self.by = by
        self.root = root
        self.bundle = bundle
        self.is_extra = False  # in TRUSTSTORE_EXTRA_CA_CERTS
        self.local_file: str | None = None

    def where_its_root_is(self) -> str:
        """In words."""
        if self.root is not None:
            return "is in the system store"
        return f"is NOT in the system store{', but in TRUSTSTORE_EXTRA_CA_CERTS' if self.is_extra else ''}"


def find_inspection(chain: Chain, server_name: str | None, system: Roots, public: Roots | None) -> Inspection | None:
    """What the certificates say about an inspection, or None if nothing speaks for one.

    A chain that leads to a root of a public bundle is none, whatever its names: public CAs have customers that make
    inspecting products, too.
    """
    top, leaf = chain.top, chain.leaf
    if top is None or leaf is None or leaf.self_issued:
        return None
    if public is not None and (top in public or public.issuer_of(top) is not None):
        return None
    product = inspection.product_in(chain.path_certificates())
    private_root = top.self_issued and public is not None
    if product is None and not (private_root and server_name and inspection.is_public_name(server_name)):
        return None
    end = top.subject if top.self_issued else top.issuer
    by = product.issuer if product is not None else str(end)
    root = top if top in system else system.issuer_of(top)
    return Inspection(product, by, root, public.name if public is not None else None)
