"""Certificates in files: PEM blocks and plain DER, without the `re` module, which nobody may have imported yet."""

from __future__ import annotations

import binascii
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# The labels that OpenSSL takes for a certificate. A "TRUSTED CERTIFICATE" carries OpenSSL's own trust settings behind
# the certificate; only OpenSSL can honour them, so it is no anchor elsewhere.
_BEGIN = (b"-----BEGIN CERTIFICATE-----", b"-----BEGIN X509 CERTIFICATE-----")
_END = b"-----END"


def count(text: bytes) -> int:
    """How many certificates OpenSSL would find in the PEM `text`."""
    return text.count(b"-----BEGIN CERTIFICATE-----") + text.count(b"-----BEGIN TRUSTED CERTIFICATE-----")


def certificates(text: bytes) -> Iterator[bytes]:
    """The DER certificates in the PEM `text`, in order. A block that is not base64 is skipped."""
    for begin in _BEGIN:
        for block in text.split(begin)[1:]:
            body = block.partition(_END)[0]
            try:
                yield binascii.a2b_base64(b"".join(body.split()))
            except binascii.Error:
                continue


def der_certificates(data: bytes) -> list[bytes]:
    """The certificates of concatenated DER, the other form that `load_verify_locations(cadata=...)` takes."""
    found = []
    while len(data) > 4 and data[0] == 0x30:
        if data[1] < 0x80:
            size = 2 + data[1]
        else:
            octets = data[1] & 0x7F
            size = 2 + octets + int.from_bytes(data[2 : 2 + octets], "big")
        found.append(data[:size])
        data = data[size:]
    return found


def certificates_in_file(path: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> list[bytes]:
    """The DER certificates in a PEM file. Raises `OSError` if it cannot be read."""
    with open(path, "rb") as file:
        return list(certificates(file.read()))


def files_in_directory(path: str, counts: Callable[[str], bool] = lambda _: True) -> list[str]:
    """The regular files in `path` whose name `counts`, sorted; every file once, however many links lead to it."""
    seen: dict[str, str] = {}
    for entry in os.scandir(path):
        if counts(entry.name) and entry.is_file():
            seen.setdefault(os.path.realpath(entry.path), entry.path)
    return sorted(seen.values())
