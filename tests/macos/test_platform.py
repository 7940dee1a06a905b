"""One table of expectations for two machines: the double here, the real frameworks on a Mac.

On a Mac, `pytest tests/macos/test_platform.py` asks the real Security framework. It needs no administrator and changes
no keychain: the test's root is trusted by the verifier's constructor, for that verifier alone. Elsewhere the same table
holds for the double; a difference between the two is a mistake in the double, and a row here is the way to report it.
"""

from __future__ import annotations

import ssl
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from macos import pki
from macos.pki import Certified, issue
from macos.world import NAME
from truststore._backends.macos import MacOSVerifier
from truststore._verify import Options

ON_A_MAC = sys.platform == "darwin"

ROOT = issue("Test Root", authority=True, life=pki.days(3650), private_key=pki.key("p256", 1))
INTERMEDIATE = issue("Test Intermediate", ROOT, authority=True, private_key=pki.key("p256", 3))
STRANGER = issue("Strange Root", authority=True, private_key=pki.key("p256", 2))


def leaf(issuer: Certified = INTERMEDIATE, common_name: str | None = NAME, **how: Any) -> Certified:
    return issue(common_name, issuer, **({"names": [NAME], "private_key": pki.key("p256", 5)} | how))


# Title, what the peer sends, the name that is wanted, the OSStatus (0 for trusted, None for a refusal without one),
# words of the system that the error must hold.
CASES: list[tuple[str, list[Certified | bytes], str | None, int | None, str]] = [
    ("good", [leaf(), INTERMEDIATE], NAME, 0, ""),
    ("good, with the root", [leaf(), INTERMEDIATE, ROOT], NAME, 0, ""),
    ("good, without a name to check", [leaf(), INTERMEDIATE], None, 0, ""),
    ("good, upper case", [leaf(), INTERMEDIATE], NAME.upper(), 0, ""),
    ("good, trailing dot", [leaf(), INTERMEDIATE], f"{NAME}.", 0, ""),
    ("good, wildcard", [leaf(names=["*.server.example"]), INTERMEDIATE], "www.server.example", 0, ""),
    ("good, IPv4", [leaf(addresses=["127.0.0.1"]), INTERMEDIATE], "127.0.0.1", 0, ""),
    ("good, IPv6", [leaf(addresses=["::1"]), INTERMEDIATE], "::1", 0, ""),
    ("good, 825 days", [leaf(life=pki.days(825)), INTERMEDIATE], NAME, 0, ""),
    ("good, no subject", [leaf(common_name=None), INTERMEDIATE], NAME, 0, ""),
    ("good, serial number of 37 bytes", [pki.with_serial(leaf(), b"\x01" * 37), INTERMEDIATE], NAME, 0, ""),
    ("good, no key identifiers", [leaf(without_key_ids=True), INTERMEDIATE], NAME, 0, ""),
    ("wrong name", [leaf(), INTERMEDIATE], "other.example", -67602, f"“{NAME}” certificate name does not match"),
    ("no name at all", [leaf(), INTERMEDIATE], "", -67602, "does not match"),
    ("name in the subject only", [leaf(names=[]), INTERMEDIATE], NAME, -67602, "does not match"),
    ("wildcard over two labels", [leaf(names=["*.example"]), INTERMEDIATE], NAME, -67602, "does not match"),
    ("wildcard above a suffix", [leaf(names=["*.co.uk"]), INTERMEDIATE], "server.co.uk", -67602, "does not match"),
    ("partial wildcard", [leaf(names=["s*.server.example"]), INTERMEDIATE], "s1.server.example", -67602, ""),
    ("wrong address", [leaf(addresses=["127.0.0.1"]), INTERMEDIATE], "127.0.0.2", -67602, "does not match"),
    ("address as a DNS name", [leaf(names=["127.0.0.1"]), INTERMEDIATE], "127.0.0.1", -67602, "does not match"),
    ("unknown root", [leaf(STRANGER), STRANGER], NAME, -67843, "“Strange Root” certificate is not trusted"),
    ("self-signed", [issue(NAME, names=[NAME])], NAME, -67843, "is not trusted"),
    ("missing intermediate", [leaf()], NAME, -25318, "is not trusted"),
    ("expired", [leaf(start=pki.NOW - pki.days(9), life=pki.days(5)), INTERMEDIATE], NAME, -67818, "is expired"),
    ("not yet valid", [leaf(start=pki.NOW + pki.days(9)), INTERMEDIATE], NAME, -67818, "is expired"),
    ("826 days", [leaf(life=pki.days(826)), INTERMEDIATE], NAME, -67901, "is not standards compliant"),
    ("for clients", [leaf(usages=[pki.CLIENT_AUTH]), INTERMEDIATE], NAME, -67609, "is not permitted for this usage"),
    ("for no named use", [leaf(usages=[]), INTERMEDIATE], NAME, -67609, "is not permitted for this usage"),
    ("for any use", [leaf(usages=[pki.ANY_USAGE]), INTERMEDIATE], NAME, -67609, "is not permitted for this usage"),
    ("RSA of 1024 bits", [leaf(private_key=pki.key("rsa1024")), INTERMEDIATE], NAME, -67735, "broken key size"),
    ("SHA-1", [leaf(sha1=True), INTERMEDIATE], NAME, -67815, "broken signature algorithm"),
    ("foreign key identifier", [leaf(issuer_key_id=b"\x01" * 20), INTERMEDIATE], NAME, -67610, "standards compliant"),
    (
        "name before time",
        [leaf(start=pki.NOW - pki.days(9), life=pki.days(5)), INTERMEDIATE],
        "other.example",
        -67602,
        "does not match",
    ),
    ("trust before name", [leaf(STRANGER), STRANGER], "other.example", -67843, "is not trusted"),
    ("1100 characters", [leaf(common_name="x" * 1100), INTERMEDIATE], "other.example", -67602, "x" * 1100),
    ("beyond the BMP", [leaf(common_name="\U0001f600"), INTERMEDIATE], "other.example", -67602, "\U0001f600"),
    ("serial number of 41 bytes", [pki.with_serial(leaf(), b"\x01" * 41), INTERMEDIATE], NAME, None, "cannot parse"),
    ("no certificate", [], NAME, None, "sent no certificate"),
]


@pytest.fixture
def _frameworks(request: pytest.FixtureRequest) -> Iterator[None]:
    """The real ones on a Mac, the double elsewhere."""
    if ON_A_MAC:
        yield
    else:
        request.getfixturevalue("double")
        yield


@pytest.mark.usefixtures("_frameworks")
@pytest.mark.parametrize(("title", "chain", "name", "code", "words"), CASES, ids=[case[0] for case in CASES])
def test_platform(title: str, chain: list[Certified | bytes], name: str | None, code: int | None, words: str) -> None:
    ders = [each if isinstance(each, bytes) else each.der for each in chain]
    for verifier, options in (
        (MacOSVerifier(only_anchors=[ROOT.der]), Options(name)),
        (MacOSVerifier(), Options(name, extra_anchors=[ROOT.der])),
    ):
        if code == 0:
            verifier.verify(ders, options)
            continue
        with pytest.raises(ssl.SSLCertVerificationError) as caught:
            verifier.verify(ders, options)
        assert caught.value.native_code == code  # type: ignore[attr-defined]
        assert words in str(caught.value)


@pytest.mark.skipif(not ON_A_MAC, reason="only a Mac has the real store")
def test_real_store() -> None:
    """What no double can show: the system's own anchors are there, and each of them can be read."""
    roots = MacOSVerifier().roots()
    assert len(roots) > 50
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for der in roots:
        context.load_verify_locations(cadata=der)
