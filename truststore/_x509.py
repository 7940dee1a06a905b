"""What a certificate says: a small, strict DER reader for X.509, in pure Python.

It reads what a person needs to see to understand a verdict, and what OpenSSL needs to find a root in a directory. It
never decides about trust: no signature is checked here (`_oracle` asks OpenSSL for that). Its input comes from whoever
answers a port, so lengths must be definite and minimal, nothing may stand behind the end, and nesting is bounded by
the structures that are read (RFC 5280; ITU-T X.690 for DER).
"""

from __future__ import annotations

import hashlib
import ipaddress
from datetime import datetime, timezone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class BadEncodingError(ValueError):
    """The data is not DER, or not the structure that it should be."""


# ---- DER ------------------------------------------------------------------------------------------------------------

_INTEGER, _BIT_STRING, _OCTET_STRING, _NULL, _OID, _BOOLEAN = 0x02, 0x03, 0x04, 0x05, 0x06, 0x01
_SEQUENCE, _SET = 0x30, 0x31
_UTC_TIME, _GENERALIZED_TIME = 0x17, 0x18


class Node:
    """One DER element: its tag, its content and the whole of it."""

    __slots__ = ("content", "encoded", "tag")

    def __init__(self, tag: int, content: bytes, encoded: bytes) -> None:
        self.tag = tag
        self.content = content
        self.encoded = encoded

    def children(self) -> list[Node]:
        """The elements inside. Raises `BadEncodingError` if the content is anything else."""
        found, position = [], 0
        while position < len(self.content):
            node, position = _read(self.content, position)
            found.append(node)
        return found

    def expect(self, tag: int) -> Node:
        """This element, if it has `tag`; otherwise `BadEncodingError`."""
        if self.tag != tag:
            raise BadEncodingError(f"expected DER tag {tag:#04x}, found {self.tag:#04x}")
        return self


def parse(data: bytes) -> Node:
    """The one element that `data` is."""
    node, end = _read(data, 0)
    if end != len(data):
        raise BadEncodingError(f"{len(data) - end} bytes behind the end")
    return node


def _read(data: bytes, start: int) -> tuple[Node, int]:
    if start + 2 > len(data):
        raise BadEncodingError("cut off in a header")
    tag, first = data[start], data[start + 1]
    if tag & 0x1F == 0x1F:
        raise BadEncodingError("tags of several bytes do not occur in certificates")
    begin = start + 2
    if first < 0x80:
        size = first
    else:
        octets = first & 0x7F
        if not 1 <= octets <= 4 or begin + octets > len(data):
            raise BadEncodingError("a length that is indefinite, too long or cut off")
        size = int.from_bytes(data[begin : begin + octets], "big")
        if size < 0x80 or size >> 8 * (octets - 1) == 0:
            raise BadEncodingError("a length that is not minimal")
        begin += octets
    end = begin + size
    if end > len(data):
        raise BadEncodingError("cut off in its content")
    return Node(tag, data[begin:end], data[start:end]), end


def encode(tag: int, content: bytes) -> bytes:
    """The DER element with `tag` and `content`."""
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    octets = (size.bit_length() + 7) // 8
    return bytes((tag, 0x80 | octets)) + size.to_bytes(octets, "big") + content


def dotted(content: bytes) -> str:
    """An object identifier in dots."""
    if not content or content[-1] & 0x80:
        raise BadEncodingError("an object identifier that is empty or cut off")
    numbers, value = [], 0
    for octet in content:
        value = value << 7 | octet & 0x7F
        if not octet & 0x80:
            numbers.append(value)
            value = 0
    first = min(numbers[0] // 40, 2)
    return ".".join(map(str, (first, numbers[0] - 40 * first, *numbers[1:])))


# ---- names ----------------------------------------------------------------------------------------------------------

_ATTRIBUTES = {
    "2.5.4.3": "CN",
    "2.5.4.5": "serialNumber",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.9": "street",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "2.5.4.97": "organizationIdentifier",
    "0.9.2342.19200300.100.1.25": "DC",
    "1.2.840.113549.1.9.1": "emailAddress",
}
# What a person tells certificates apart by, in this order; the rest only where there is none of it.
_TELLING = ("CN", "O", "OU")

# The string types that OpenSSL brings into one form before it compares names (ASN1_MASK_CANON in its x_name.c).
_STRINGS = {
    0x0C: "utf-8",
    0x13: "latin-1",  # PrintableString
    0x14: "latin-1",  # T61String, as OpenSSL reads it
    0x16: "latin-1",  # IA5String
    0x1A: "latin-1",  # VisibleString
    0x1C: "utf-32-be",
    0x1E: "utf-16-be",
}
_LOWER = bytes(octet + 32 if 0x41 <= octet <= 0x5A else octet for octet in range(256))


class Name:
    """A distinguished name: `str()` for people, `canonical` for comparing, `hash_name` for OpenSSL's directories."""

    __slots__ = ("attributes", "canonical", "der")

    def __init__(self, node: Node) -> None:
        self.der = node.encoded
        self.attributes: list[tuple[str, str]] = []
        canonical = b""
        for relative in node.expect(_SEQUENCE).children():
            values = [self._read(attribute) for attribute in relative.expect(_SET).children()]
            canonical += encode(_SET, b"".join(sorted(values)))
        self.canonical = canonical

    def _read(self, attribute: Node) -> bytes:
        kind, value = _pair(attribute)
        name = dotted(kind.expect(_OID).content)
        encoding = _STRINGS.get(value.tag)
        text = value.content.decode(encoding or "latin-1", "replace")
        self.attributes.append((_ATTRIBUTES.get(name, name), text))
        if encoding is None:
            return encode(_SEQUENCE, kind.encoded + value.encoded)
        words = b" ".join(text.encode("utf-8", "replace").translate(_LOWER).split())
        return encode(_SEQUENCE, kind.encoded + encode(0x0C, words))

    def get(self, attribute: str) -> str | None:
        """The first value of `attribute`, such as `CN` or `O`."""
        return next((value for name, value in self.attributes if name == attribute), None)

    @property
    def hash_name(self) -> str:
        """The eight digits under which OpenSSL looks for a certificate with this subject in a directory.

        They are the first four bytes, little-endian, of the SHA-1 of the name in OpenSSL's canonical form, without the
        outer SEQUENCE (X509_NAME_hash_ex in its x509_cmp.c).
        """
        digest = hashlib.sha1(self.canonical, usedforsecurity=False).digest()
        return f"{int.from_bytes(digest[:4], 'little'):08x}"

    def __str__(self) -> str:
        telling = [(name, value) for key in _TELLING for name, value in self.attributes if name == key]
        shown = telling or self.attributes
        return ", ".join(f"{name}={value}" for name, value in shown) or "(empty name)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Name) and self.canonical == other.canonical

    def __hash__(self) -> int:
        return hash(self.canonical)


def _pair(node: Node) -> tuple[Node, Node]:
    children = node.expect(_SEQUENCE).children()
    if len(children) != 2:
        raise BadEncodingError(f"expected a pair, found {len(children)} elements")
    return children[0], children[1]


# ---- keys and signatures --------------------------------------------------------------------------------------------

_KEYS = {
    "1.2.840.113549.1.1.1": "RSA",
    "1.2.840.113549.1.1.10": "RSA-PSS",
    "1.2.840.10040.4.1": "DSA",
    "1.2.840.10045.2.1": "EC",
    "1.3.101.112": "Ed25519",
    "1.3.101.113": "Ed448",
    "2.16.840.1.101.3.4.3.17": "ML-DSA-44",
    "2.16.840.1.101.3.4.3.18": "ML-DSA-65",
    "2.16.840.1.101.3.4.3.19": "ML-DSA-87",
}
_CURVES = {
    "1.2.840.10045.3.1.1": ("P-192", 192),
    "1.2.840.10045.3.1.7": ("P-256", 256),
    "1.3.132.0.10": ("secp256k1", 256),
    "1.3.132.0.33": ("P-224", 224),
    "1.3.132.0.34": ("P-384", 384),
    "1.3.132.0.35": ("P-521", 521),
}
_SIGNATURES = {
    "1.2.840.113549.1.1.4": "RSA with MD5",
    "1.2.840.113549.1.1.5": "RSA with SHA-1",
    "1.2.840.113549.1.1.10": "RSA-PSS",
    "1.2.840.113549.1.1.11": "RSA with SHA-256",
    "1.2.840.113549.1.1.12": "RSA with SHA-384",
    "1.2.840.113549.1.1.13": "RSA with SHA-512",
    "1.2.840.10045.4.1": "ECDSA with SHA-1",
    "1.2.840.10045.4.3.2": "ECDSA with SHA-256",
    "1.2.840.10045.4.3.3": "ECDSA with SHA-384",
    "1.2.840.10045.4.3.4": "ECDSA with SHA-512",
    "1.3.101.112": "Ed25519",
    "1.3.101.113": "Ed448",
    "2.16.840.1.101.3.4.3.17": "ML-DSA-44",
    "2.16.840.1.101.3.4.3.18": "ML-DSA-65",
    "2.16.840.1.101.3.4.3.19": "ML-DSA-87",
}


class Key:
    """A public key: `kind` such as `RSA` or `EC`, `name` for people, `bits` or None where the kind says it all."""

    __slots__ = ("bits", "kind", "name")

    def __init__(self, node: Node) -> None:
        algorithm, value = _pair(node)
        fields = algorithm.expect(_SEQUENCE).children()
        identifier = dotted(fields[0].expect(_OID).content) if fields else ""
        self.kind = _KEYS.get(identifier, identifier)
        self.bits: int | None = None
        self.name = self.kind
        if self.kind in ("RSA", "RSA-PSS"):
            modulus = parse(value.expect(_BIT_STRING).content[1:]).expect(_SEQUENCE).children()[0]
            self.bits = int.from_bytes(modulus.expect(_INTEGER).content, "big").bit_length()
            self.name = f"{self.kind} {self.bits}"
        elif self.kind == "EC" and len(fields) > 1 and fields[1].tag == _OID:
            curve = dotted(fields[1].content)
            self.name, self.bits = _CURVES.get(curve, (f"EC {curve}", None))


# ---- certificates ---------------------------------------------------------------------------------------------------

_KEY_USAGES = (
    "digitalSignature",
    "nonRepudiation",
    "keyEncipherment",
    "dataEncipherment",
    "keyAgreement",
    "keyCertSign",
    "cRLSign",
    "encipherOnly",
    "decipherOnly",
)
_PURPOSES = {
    "1.3.6.1.5.5.7.3.1": "serverAuth",
    "1.3.6.1.5.5.7.3.2": "clientAuth",
    "1.3.6.1.5.5.7.3.3": "codeSigning",
    "1.3.6.1.5.5.7.3.4": "emailProtection",
    "1.3.6.1.5.5.7.3.8": "timeStamping",
    "1.3.6.1.5.5.7.3.9": "OCSPSigning",
    "2.5.29.37.0": "any",
}
_CA_ISSUERS = "1.3.6.1.5.5.7.48.2"


class Certificate:
    """What one certificate (DER) says. Raises `BadEncodingError` if it is none.

    An extension that cannot be read leaves its fields empty and is named in `malformed`.
    """

    def __init__(self, der: bytes) -> None:
        self.der = der
        try:
            self._read(der)
        except BadEncodingError:
            raise
        except (IndexError, OverflowError, ValueError) as error:  # fields that are missing
            raise BadEncodingError(f"not a certificate: {error}") from None

    def _read(self, der: bytes) -> None:
        signed, signature = parse(der).expect(_SEQUENCE).children()[:2]
        fields = signed.expect(_SEQUENCE).children()
        first = 1 if fields[0].tag == 0xA0 else 0  # [0] EXPLICIT version; absent in version 1
        serial, _, issuer, validity, subject, key = fields[first : first + 6]
        self.serial = serial.expect(_INTEGER).content.hex()
        self.issuer = Name(issuer)
        self.subject = Name(subject)
        self.not_before, self.not_after = (_time(node) for node in _pair(validity))
        self.key = Key(key)
        identifier = dotted(signature.expect(_SEQUENCE).children()[0].expect(_OID).content)
        self.signature = _SIGNATURES.get(identifier, identifier)
        self._read_extensions(fields[first + 6 :])

    def _read_extensions(self, optional: list[Node]) -> None:
        self.dns_names: list[str] = []
        self.ip_addresses: list[str] = []
        self.has_san = False
        self.is_ca: bool | None = None  # None: no basicConstraints
        self.ca_is_critical = False
        self.path_length: int | None = None
        self.key_usage: list[str] | None = None
        self.purposes: list[str] | None = None
        self.subject_key_id: bytes | None = None
        self.authority_key_id: bytes | None = None
        self.has_authority_key_id = False
        self.ca_issuers: list[str] = []
        self.crl_urls: list[str] = []
        self.malformed: list[str] = []
        readers: dict[str, tuple[str, Callable[[Node, bool], None]]] = {
            "2.5.29.14": ("subjectKeyIdentifier", self._subject_key_id),
            "2.5.29.15": ("keyUsage", self._key_usage),
            "2.5.29.17": ("subjectAltName", self._alternative_names),
            "2.5.29.19": ("basicConstraints", self._basic_constraints),
            "2.5.29.31": ("cRLDistributionPoints", self._crl_distribution),
            "2.5.29.35": ("authorityKeyIdentifier", self._authority_key_id),
            "2.5.29.37": ("extKeyUsage", self._extended_key_usage),
            "1.3.6.1.5.5.7.1.1": ("authorityInfoAccess", self._authority_information),
        }
        for wrapper in optional:
            if wrapper.tag != 0xA3:
                continue
            for extension in parse(wrapper.content).expect(_SEQUENCE).children():
                identifier, *critical, value = extension.expect(_SEQUENCE).children()
                name, read = readers.get(dotted(identifier.expect(_OID).content), ("", None))
                if read is None:
                    continue
                try:
                    read(parse(value.expect(_OCTET_STRING).content), bool(critical) and critical[0].content != b"\0")
                except (ValueError, IndexError):
                    self.malformed.append(name)

    def _subject_key_id(self, node: Node, critical: bool) -> None:
        self.subject_key_id = node.expect(_OCTET_STRING).content

    def _authority_key_id(self, node: Node, critical: bool) -> None:
        self.has_authority_key_id = True
        for field in node.expect(_SEQUENCE).children():
            if field.tag == 0x80:
                self.authority_key_id = field.content

    def _key_usage(self, node: Node, critical: bool) -> None:
        bits = node.expect(_BIT_STRING).content[1:]
        positions = range(min(8 * len(bits), len(_KEY_USAGES)))
        self.key_usage = [_KEY_USAGES[bit] for bit in positions if bits[bit // 8] & 0x80 >> bit % 8]

    def _alternative_names(self, node: Node, critical: bool) -> None:
        self.has_san = True
        for name in node.expect(_SEQUENCE).children():
            if name.tag == 0x82:
                self.dns_names.append(name.content.decode("ascii", "backslashreplace"))
            elif name.tag == 0x87:
                self.ip_addresses.append(str(ipaddress.ip_address(name.content)))

    def _basic_constraints(self, node: Node, critical: bool) -> None:
        self.is_ca, self.ca_is_critical = False, critical
        for field in node.expect(_SEQUENCE).children():
            if field.tag == _BOOLEAN:
                self.is_ca = field.content != b"\0"
            elif field.tag == _INTEGER:
                self.path_length = int.from_bytes(field.content, "big")

    def _extended_key_usage(self, node: Node, critical: bool) -> None:
        identifiers = [dotted(purpose.expect(_OID).content) for purpose in node.expect(_SEQUENCE).children()]
        self.purposes = [_PURPOSES.get(identifier, identifier) for identifier in identifiers]

    def _authority_information(self, node: Node, critical: bool) -> None:
        for access in node.expect(_SEQUENCE).children():
            method, location = _pair(access)
            if dotted(method.content) == _CA_ISSUERS and location.tag == 0x86:
                self.ca_issuers.append(location.content.decode("ascii", "backslashreplace"))

    def _crl_distribution(self, node: Node, critical: bool) -> None:
        for point in node.expect(_SEQUENCE).children():
            for name in (field for field in point.children() if field.tag == 0xA0):
                for full_name in (field for field in name.children() if field.tag == 0xA0):
                    for location in (field for field in full_name.children() if field.tag == 0x86):
                        self.crl_urls.append(location.content.decode("ascii", "backslashreplace"))

    @property
    def sha256(self) -> str:
        """The fingerprint, in hexadecimal digits."""
        return hashlib.sha256(self.der).hexdigest()

    @property
    def self_issued(self) -> bool:
        """Whether subject and issuer are the same name. (Whether it is self-signed, only its signature can tell.)"""
        return self.subject == self.issuer and (
            self.authority_key_id is None or self.subject_key_id is None or self.authority_key_id == self.subject_key_id
        )

    def names_issuer(self, other: Certificate) -> bool:
        """Whether `other` is what this certificate names as its issuer (RFC 5280, 6.1, without the signature)."""
        return self.issuer == other.subject and (
            self.authority_key_id is None
            or other.subject_key_id is None
            or self.authority_key_id == other.subject_key_id
        )

    def names(self) -> list[str]:
        """The host names and addresses that it is for."""
        return [*self.dns_names, *self.ip_addresses]


def _time(node: Node) -> datetime:
    if node.tag not in (_UTC_TIME, _GENERALIZED_TIME):
        raise BadEncodingError(f"DER tag {node.tag:#04x} is no time")
    text = node.content.decode("ascii", "replace")
    year_digits = 2 if node.tag == _UTC_TIME else 4
    if len(text) != year_digits + 11 or not text[:-1].isdigit() or text[-1] != "Z":
        raise BadEncodingError(f"not a time as RFC 5280 wants it: {text!r}")
    year = int(text[:year_digits])
    if node.tag == _UTC_TIME:  # RFC 5280, 4.1.2.5.1
        year += 1900 if year >= 50 else 2000
    month, day, hour, minute, second = (int(text[at : at + 2]) for at in range(year_digits, year_digits + 10, 2))
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=timezone.utc)
    except ValueError as error:
        raise BadEncodingError(f"no such time: {text!r} ({error})") from None
