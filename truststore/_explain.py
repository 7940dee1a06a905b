"""Why a peer was refused, in a person's words: the cause, what to do, and where the documentation says more.

`TOPICS` has one row for every `Reason` and for everything else that can keep a connection from being judged; its words
are the anchors of the how-to page. `facts` adds what the certificates at hand say. `note` is the one line that an
exception carries; it needs no network and is only imported once a peer has been refused.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from truststore import _x509
from truststore._errors import Reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from truststore._x509 import Certificate

# The documentation is not installed with the package, and may lie anywhere: so the title, and the place below its root.
PAGE_TITLE = "Find out why a connection is refused"
_PAGE = "how-to/diagnose.md"

_DER = 2  # _ssl.ENCODING_DER


class Topic:
    """`cause`: what is wrong, in one sentence without a full stop. `hint`: what to do about it."""

    __slots__ = ("cause", "hint")

    def __init__(self, cause: str, hint: str) -> None:
        self.cause = cause
        self.hint = hint


_ADD_ROOT = (
    "if you know who runs this CA (a company's proxy, a laboratory), get its root certificate from them, not from this "
    "connection, and add it to the system store; if you do not, somebody else may be answering for this host"
)
_ASK_OWNER = "whoever runs the server must mend its certificate; nothing on this computer can"

TOPICS: dict[str, Topic] = {
    # Verdicts: one row for each Reason.
    Reason.UNKNOWN_ISSUER.value: Topic("the certificate was issued by a CA that is not trusted here", _ADD_ROOT),
    Reason.MISSING_INTERMEDIATE.value: Topic(
        "the server does not send the certificate of the CA that issued its own",
        "the server must send its whole chain: its own certificate and every intermediate (a web server's `fullchain` "
        "file). Browsers and some systems fetch what is missing; OpenSSL does not",
    ),
    Reason.SELF_SIGNED.value: Topic(
        "the server's certificate is signed by its own key, by no CA",
        "give the server a certificate of a CA that is trusted here, or, if the server is yours, add this certificate "
        "to the system store or name it in TRUSTSTORE_EXTRA_CA_CERTS",
    ),
    Reason.UNTRUSTED_ROOT.value: Topic("the chain ends at a root that is not trusted here", _ADD_ROOT),
    Reason.EXPIRED.value: Topic(
        "a certificate has expired",
        "whoever runs the server must renew it. If this computer's clock is wrong, set it",
    ),
    Reason.NOT_YET_VALID.value: Topic(
        "a certificate is not valid yet",
        "set this computer's clock if it is slow; otherwise wait, or have the certificate issued again",
    ),
    Reason.WRONG_NAME.value: Topic(
        "the certificate is for other names",
        "connect by a name that the certificate has, or have the server show one for this name; a server that hosts "
        "several names may need the right one in SNI",
    ),
    Reason.WRONG_IP_ADDRESS.value: Topic(
        "the certificate does not name this IP address",
        "connect by a host name that the certificate has, or have the address put into its subjectAltName, as an "
        "address and not as a DNS name",
    ),
    Reason.REVOKED.value: Topic("the CA has revoked a certificate", _ASK_OWNER),
    Reason.REVOCATION_UNKNOWN.value: Topic(
        "revocation must be checked, and no answer could be had",
        "make the CA's revocation list reachable from here (see the certificate's CRL addresses), or have the program "
        "or the system's policy no longer ask for it",
    ),
    Reason.REVOCATION_STALE.value: Topic(
        "the CA's revocation list is out of date",
        "get the current list; if this computer's clock is wrong, set it",
    ),
    Reason.WRONG_PURPOSE.value: Topic(
        "the certificate is not meant for TLS servers",
        "the server must show a certificate whose extended key usage has serverAuth",
    ),
    Reason.NOT_A_CA.value: Topic(
        "a certificate in the chain was issued by one that is no CA",
        _ASK_OWNER + "; a chain like this may also be an attack",
    ),
    Reason.PATH_TOO_LONG.value: Topic("a CA in the chain may not issue so many further CAs", _ASK_OWNER),
    Reason.NAME_CONSTRAINT.value: Topic(
        "a CA in the chain may not issue certificates for this name",
        _ASK_OWNER + "; the CA is limited to other names",
    ),
    Reason.WEAK_KEY.value: Topic(
        "a certificate's key is too short",
        "the certificate must be issued again with a longer key: RSA of 2048 bits or more, or P-256",
    ),
    Reason.WEAK_SIGNATURE.value: Topic(
        "a certificate is signed with a hash that is too weak", "it must be issued again, signed with SHA-256 or better"
    ),
    Reason.BAD_SIGNATURE.value: Topic(
        "a signature in the chain is wrong",
        "a certificate was changed, or the chain mixes two CAs of the same name; " + _ASK_OWNER,
    ),
    Reason.UNKNOWN_CRITICAL_EXTENSION.value: Topic(
        "a certificate has a critical extension that is not understood here", _ASK_OWNER
    ),
    Reason.BAD_ENCODING.value: Topic("a certificate cannot be read", _ASK_OWNER),
    Reason.NO_CERTIFICATE.value: Topic("the server sent no certificate", _ASK_OWNER),
    Reason.DISTRUSTED.value: Topic(
        "a certificate is marked as distrusted in the system store",
        "the administrator, or the system's vendor, has decided against this CA: the server needs another one",
    ),
    Reason.STANDARDS.value: Topic(
        "a certificate breaks a rule of this system, for example on how long it may be valid",
        "it must be issued again within the rules that the message names",
    ),
    Reason.STRICT.value: Topic(
        "a certificate breaks a rule that only VERIFY_X509_STRICT enforces",
        "have the CA issued again with what it lacks. For roots of the system store the flag is left out unless "
        "TRUSTSTORE_STRICT is set or the program chose its own CA; Python 3.13 and later, and urllib3, set it by "
        "default",
    ),
    Reason.OTHER.value: Topic("the peer was refused for a reason without a name here", "see the message for details"),
    # What decided instead of the system store.
    "trust-variable": Topic(
        "an environment variable replaces the system store",
        "unset the variable, or let it name a file or directory that holds the right CAs; to add a CA to the system "
        "store's, use TRUSTSTORE_EXTRA_CA_CERTS instead",
    ),
    "pinned": Topic(
        "the program trusts only the certificates that it loaded itself",
        "give the program the CA that issued this chain, or let it use the system store by not naming a CA file",
    ),
    "no-store": Topic(
        "this system has no trust store",
        "install the system's CA certificates (the package is mostly called ca-certificates)",
    ),
    "inspection": Topic(
        "this connection is intercepted: somebody on the way decrypts it and shows a certificate of their own",
        "if this is your company's inspection, its root belongs into the system store: ask whoever runs it for the "
        "file. If nobody you know does this, do not use the connection",
    ),
    # What keeps a connection from being judged at all.
    "name-resolution": Topic("the host name cannot be resolved", "check the spelling, the DNS servers and the proxy"),
    "unreachable": Topic("no connection to the host could be made", "check host, port, firewall and proxy"),
    "timeout": Topic(
        "there was no complete answer in time",
        "something on the way may drop the packets, or the server is too slow: try --timeout with more seconds",
    ),
    "closed": Topic(
        "the peer closed the connection before there was a certificate",
        "check that this port speaks TLS; a firewall that inspects names, or a server that does not know this name, "
        "may also hang up",
    ),
    "plain-http": Topic(
        "the server speaks plain HTTP on this port, not TLS", "use http://, or the port that the server has for https"
    ),
    "starttls-needed": Topic(
        "the server greets in plain text: TLS begins with a command of its protocol", "use --starttls with the protocol"
    ),
    "not-tls": Topic("what the peer sends is not TLS", "check host and port"),
    "too-much": Topic(
        "the peer sends more than a TLS handshake needs",
        "the server is misconfigured (too many certificates) or hostile",
    ),
    "tls-alert": Topic(
        "the server refused the TLS handshake",
        "the server and this OpenSSL agree on no protocol version, cipher or name, or the server wants a client "
        "certificate: see the message",
    ),
    "tls-failure": Topic("the TLS handshake failed before there was a verdict", "see OpenSSL's message"),
    "starttls-refused": Topic("the server does not offer STARTTLS", "check the protocol and the port"),
    "proxy-refused": Topic(
        "the proxy refused to connect",
        "ask whoever runs the proxy to allow this host and port, or name the host in NO_PROXY if it can be reached "
        "directly",
    ),
    "proxy-credentials": Topic(
        "the proxy wants a user name and a password",
        "put them into the proxy's address (HTTPS_PROXY=http://user:password@proxy:port)",
    ),
    "proxy-unusable": Topic("the proxy cannot be used", "check HTTPS_PROXY, or give another address with --proxy"),
    "no-verdict": Topic("the system could not say whether it trusts the peer", "see the message of the system"),
}


def documentation(word: str) -> str:
    """Where the documentation says more about the topic `word`, below its root; the anchor is the word."""
    return f"{_PAGE}#{word}"


_WEAK_HASHES = ("MD5", "SHA-1")

# ---- facts: what the certificates at hand say -----------------------------------------------------------------------


def facts(
    reason: Reason, path: Sequence[Certificate], server_name: str | None, now: datetime | None = None
) -> list[str]:
    """What in `path` (leaf first) is behind `reason`, one sentence per fact. Empty if it shows nothing."""
    if not path:
        return []
    now = now or datetime.now(timezone.utc)
    if reason in (Reason.EXPIRED, Reason.NOT_YET_VALID):
        return _validity_facts(path, now)
    if reason in (Reason.WRONG_NAME, Reason.WRONG_IP_ADDRESS):
        return _name_facts(path[0], server_name or "")
    if reason is Reason.STRICT:
        return [f"{certificate.subject} lacks {lack}" for certificate in path for lack in strict_lacks(certificate)]
    if reason is Reason.WEAK_KEY:
        return [f"the key of {it.subject} is {it.key.name}" for it in path if _is_weak(it)] or [
            f"the keys are {', '.join(it.key.name for it in path)}: too short for this OpenSSL's security level"
        ]
    if reason is Reason.WEAK_SIGNATURE:
        return [f"{it.subject} is signed with {it.signature}" for it in path if it.signature.endswith(_WEAK_HASHES)]
    if reason is Reason.WRONG_PURPOSE:
        return [f"{path[0].subject} is for {', '.join(path[0].purposes or ['nothing'])}, not for serverAuth"]
    if reason is Reason.NOT_A_CA:
        return [f"{it.subject} is not marked as a CA, but issued a certificate" for it in path[1:] if not it.is_ca]
    if reason is Reason.SELF_SIGNED:
        return [f"{path[0].subject} names itself as its issuer"]
    return []


def moment(time: datetime) -> str:
    """A point in time, as all commands print it."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC")


def span(duration: timedelta) -> str:
    """A duration in its one telling unit: `3 days`."""
    seconds = abs(int(duration.total_seconds()))
    for size, unit in ((31557600, "year"), (86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= (2 * size if unit in ("year", "minute") else size):
            count = seconds // size
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return f"{seconds} second{'' if seconds == 1 else 's'}"


def _validity_facts(path: Sequence[Certificate], now: datetime) -> list[str]:
    found = []
    for certificate in path:
        if now > certificate.not_after:
            ago = span(now - certificate.not_after)
            found.append(f"{certificate.subject} expired {ago} ago, on {moment(certificate.not_after)}")
        elif now < certificate.not_before:
            ahead = span(certificate.not_before - now)
            found.append(f"{certificate.subject} becomes valid in {ahead}, on {moment(certificate.not_before)}")
    return [*found, f"this computer's clock says {moment(now)}"] if found else []


def _name_facts(leaf: Certificate, server_name: str) -> list[str]:
    names = leaf.names()
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    found = [f"the certificate is for {shown or 'no host name at all'}, not for {server_name or 'this host'}"]
    if not leaf.has_san:
        common = leaf.subject.get("CN")
        found.append(f"it has no subjectAltName; its common name is {common}, which many programs do not look at")
    elif is_ip_address(server_name) and not leaf.ip_addresses:
        found.append("it names no IP address")
        if server_name in leaf.dns_names:
            found.append("it has the address as a DNS name, which does not count")
    for name in leaf.dns_names:
        if name.startswith("*.") and server_name.lower().endswith(name[1:].lower()):
            found.append(f"the star in {name} stands for exactly one label")
    return found


def is_ip_address(name: str) -> bool:
    """Whether `name` is an IP address in text form."""
    import ipaddress

    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return True


def _is_weak(certificate: Certificate) -> bool:
    bits = certificate.key.bits
    if bits is None:
        return False
    return bits < 2048 if certificate.key.kind in ("RSA", "RSA-PSS", "DSA") else bits < 224


def strict_lacks(certificate: Certificate) -> list[str]:
    """What `certificate` lacks that VERIFY_X509_STRICT asks for, as OpenSSL 3 checks it (check_extensions in its
    x509_vfy.c): verify codes 89, 92, 86 and 85."""
    lacks = []
    if certificate.is_ca:
        if not certificate.ca_is_critical:
            lacks.append("the critical mark on its basicConstraints")
        if certificate.key_usage is None:
            lacks.append("a keyUsage")
        if certificate.subject_key_id is None:
            lacks.append("a subjectKeyIdentifier")
    if not certificate.self_issued and not certificate.has_authority_key_id:
        lacks.append("an authorityKeyIdentifier")
    return lacks


# ---- the note on an exception ---------------------------------------------------------------------------------------


def note(reason: Reason, server_name: str | None, chain: Sequence[bytes], trusted: Iterable[str]) -> str:
    """One line for an exception: the cause as far as `chain` (DER, may be empty) shows it, whose certificates were
    `trusted`, and the command that says more. Opens no connection and reads no file."""
    path = []
    for der in chain:
        try:
            path.append(_x509.Certificate(der))
        except _x509.BadEncodingError:
            break
    found = facts(reason, path, server_name)[:3] or [TOPICS[reason.value].cause]
    if reason in (Reason.UNKNOWN_ISSUER, Reason.UNTRUSTED_ROOT) and path:
        only = "the server sent only its own certificate, issued by" if len(path) == 1 else "the chain ends at"
        found = [f"{only} {path[-1].issuer}"]
    return printable("; ".join([*found, *trusted, f"run: python -m truststore check {server_name or 'HOST'}"]))


def chain_of(connection: Any) -> list[bytes]:
    """What the peer of `connection`, an object of `_ssl`, sent: DER, leaf first; as much as this Python shows of it."""
    show = getattr(connection, "get_unverified_chain", None)
    if show is not None:
        return [one if isinstance(one, bytes) else one.public_bytes(_DER) for one in show() or ()]
    try:  # PyPy
        leaf = connection.getpeercert(True)
    except ValueError:  # the handshake is not finished
        return []
    return [leaf] if leaf else []


def printable(text: str) -> str:
    """`text` without what could steer a terminal: names in certificates are chosen by whoever answers the port."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else f"\\u{{{ord(letter):x}}}" for letter in text)
