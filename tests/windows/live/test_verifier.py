"""The verifier against the crypt32.dll that is here: Windows' own, or Wine's.

Where Wine's verdict differs from what Windows documents, a test says so and states Wine's as Wine's.
"""

from __future__ import annotations

import ssl

import pytest
from cryptography import x509
from harness import authority, windows_store
from harness.authority import Issued
from harness.loopback import Files

from truststore._backends.windows import WindowsVerifier
from truststore._errors import Reason
from truststore._verify import Options, Revocation

WINE = windows_store.is_wine()
only_wine = pytest.mark.skipif(not WINE, reason="states what Wine does and Windows does not")


def verdict(
    leaf: Issued | list[bytes],
    name: str | None = "good.test",
    anchors: list[Issued] | None = None,
    revocation: Revocation = Revocation.NONE,
    with_root: bool = True,
) -> str:
    """`accepted`, or the reason's word."""
    chain = leaf if isinstance(leaf, list) else [one.der for one in leaf.chain(with_root)]
    options = Options(name, revocation, [anchor.der for anchor in anchors or []])
    try:
        WindowsVerifier().verify(chain, options)
    except ssl.SSLCertVerificationError as error:
        refusal = error
    else:
        return "accepted"
    assert refusal.verify_code
    assert f"{vars(refusal)['native_code']:#x}" in str(refusal)
    return str(vars(refusal)["reason_word"])


@pytest.fixture(scope="module")
def leaf(intermediate: Issued) -> Issued:
    return intermediate.issue("good.test", "*.wild.test", "xn--bcher-kva.test", "127.0.0.1", "::1")


@pytest.fixture(scope="module")
def system_leaf(system_root: Issued) -> Issued:
    return system_root.issue_ca("system intermediate").issue("good.test", "127.0.0.1")


# --- trust -----------------------------------------------------------------------------------------------------------


def test_an_unknown_root_is_untrusted(leaf: Issued) -> None:
    assert verdict(leaf) == Reason.UNTRUSTED_ROOT.value


def test_a_chain_that_leads_nowhere_is_refused(leaf: Issued) -> None:
    # Wine's policy accepts it; its chain status tells, and we ask both.
    assert verdict(leaf, with_root=False) == Reason.UNKNOWN_ISSUER.value
    assert verdict([leaf.der]) == Reason.UNKNOWN_ISSUER.value


def test_a_lone_self_signed_certificate_is_refused() -> None:
    assert verdict(authority.root()) != "accepted"


def test_an_extra_anchor_is_trusted(leaf: Issued, root: Issued) -> None:
    assert verdict(leaf, anchors=[root]) == "accepted"
    assert verdict(leaf, anchors=[root], with_root=False) == "accepted"


def test_another_extra_anchor_is_not(leaf: Issued) -> None:
    assert verdict(leaf, anchors=[authority.root()]) == Reason.UNTRUSTED_ROOT.value
    assert verdict(leaf, anchors=[authority.root()], with_root=False) == Reason.UNKNOWN_ISSUER.value


def test_an_intermediate_that_only_the_program_has_completes_the_chain(
    leaf: Issued, root: Issued, intermediate: Issued
) -> None:
    assert verdict([leaf.der], anchors=[root]) == Reason.UNKNOWN_ISSUER.value
    assert verdict([leaf.der], anchors=[root, intermediate]) == "accepted"


def test_an_intermediate_alone_is_no_anchor(leaf: Issued, intermediate: Issued) -> None:
    assert verdict(leaf, anchors=[intermediate]) != "accepted"
    assert verdict(leaf, anchors=[intermediate], with_root=False) != "accepted"


def test_a_root_in_the_root_store_is_trusted(system_leaf: Issued) -> None:
    assert verdict(system_leaf) == "accepted"
    assert verdict(system_leaf, with_root=False) == "accepted"


def test_the_system_is_trusted_besides_an_extra_anchor(system_leaf: Issued, root: Issued) -> None:
    assert verdict(system_leaf, anchors=[root]) == "accepted"


def test_the_name_is_checked_for_a_root_of_the_system_too(system_leaf: Issued) -> None:
    assert verdict(system_leaf, "bad.test") == Reason.WRONG_NAME.value


# --- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["good.test", "GOOD.test", "good.test.", "a.wild.test", "xn--bcher-kva.test", None])
def test_a_name_that_matches(leaf: Issued, root: Issued, name: str | None) -> None:
    assert verdict(leaf, name, anchors=[root]) == "accepted"


@pytest.mark.parametrize("name", ["bad.test", "a.b.wild.test", "wild.test", "test", "good.test.evil.test"])
def test_a_name_that_does_not_match(leaf: Issued, root: Issued, name: str) -> None:
    assert verdict(leaf, name, anchors=[root]) == Reason.WRONG_NAME.value


@pytest.mark.parametrize("name", ["127.0.0.2", "::2"])
def test_an_ip_address_that_does_not_match(leaf: Issued, root: Issued, name: str) -> None:
    assert verdict(leaf, name, anchors=[root]) == Reason.WRONG_IP_ADDRESS.value


@pytest.mark.parametrize("name", ["127.0.0.1", "::1"])
def test_an_ip_address_that_matches(leaf: Issued, root: Issued, name: str) -> None:
    # Wine's crypt32 does not compare IP addresses, so nothing matches there.
    expected = Reason.WRONG_IP_ADDRESS.value if WINE else "accepted"
    assert verdict(leaf, name, anchors=[root]) == expected


# --- what is wrong with a certificate --------------------------------------------------------------------------------


def test_expired_and_not_yet_valid(intermediate: Issued, root: Issued) -> None:
    expired = intermediate.issue("good.test", starts_in_days=-10, ends_in_days=-1)
    early = intermediate.issue("good.test", starts_in_days=5, ends_in_days=10)
    assert verdict(expired, anchors=[root]) == Reason.EXPIRED.value
    assert verdict(early, anchors=[root]) == Reason.NOT_YET_VALID.value


def test_an_expired_intermediate(root: Issued) -> None:
    expired = root.issue_ca("expired", starts_in_days=-10, ends_in_days=-1)
    assert verdict(expired.issue("good.test"), anchors=[root]) == Reason.EXPIRED.value


def test_expired_below_a_root_of_the_system(system_root: Issued) -> None:
    expired = system_root.issue("good.test", starts_in_days=-10, ends_in_days=-1)
    assert verdict(expired) == Reason.EXPIRED.value


def test_a_certificate_for_clients(intermediate: Issued, root: Issued) -> None:
    leaf = intermediate.issue("good.test", purposes=authority.CLIENT)
    assert verdict(leaf, anchors=[root]) == Reason.WRONG_PURPOSE.value


def test_a_certificate_for_every_purpose(intermediate: Issued, root: Issued) -> None:
    assert verdict(intermediate.issue("good.test", purposes=()), anchors=[root]) == "accepted"


def test_a_signature_that_does_not_fit(leaf: Issued, root: Issued) -> None:
    chain = [one.der for one in leaf.chain()]
    chain[0] = chain[0][:-1] + bytes([chain[0][-1] ^ 1])
    assert verdict(chain, anchors=[root]) == Reason.BAD_SIGNATURE.value


def test_a_critical_extension_that_nobody_knows(intermediate: Issued, root: Issued) -> None:
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")
    leaf = intermediate.issue("good.test", critical=unknown)
    assert verdict(leaf, anchors=[root]) == Reason.UNKNOWN_CRITICAL_EXTENSION.value


@pytest.mark.parametrize("position", [0, 1])
def test_what_is_no_certificate(leaf: Issued, root: Issued, position: int) -> None:
    chain = [one.der for one in leaf.chain()]
    chain[position] = b"\x30\x03\x02\x01\x00"
    assert verdict(chain, anchors=[root]) == Reason.BAD_ENCODING.value


def test_a_name_outside_the_constraints_of_its_issuer(root: Issued) -> None:
    constraints = x509.NameConstraints([x509.DNSName("allowed.test")], None)
    constrained = root.issue_ca("constrained", critical=constraints)
    # Wine's policy accepts it; its chain status tells, and we ask both.
    assert verdict(constrained.issue("good.test"), anchors=[root]) == Reason.NAME_CONSTRAINT.value
    assert verdict(constrained.issue("a.allowed.test"), "a.allowed.test", anchors=[root]) == "accepted"


# --- revocation ------------------------------------------------------------------------------------------------------


def _leaf_with_list(intermediate: Issued, files: Files) -> tuple[Issued, str]:
    path = f"/{x509.random_serial_number():x}.crl"
    return intermediate.issue("good.test", crl_url=files.url + path), path


def test_nothing_is_fetched_unless_asked(intermediate: Issued, root: Issued) -> None:
    with Files() as files:
        leaf, _ = _leaf_with_list(intermediate, files)
        assert verdict(leaf, anchors=[root]) == "accepted"
        assert files.asked == []


def test_a_list_that_cannot_be_had_is_a_refusal_if_asked(intermediate: Issued, root: Issued) -> None:
    with Files() as files:
        leaf, path = _leaf_with_list(intermediate, files)
        word = verdict(leaf, anchors=[root], revocation=Revocation.LEAF)
        assert word == Reason.REVOCATION_UNKNOWN.value
        assert path in files.asked


def test_without_any_list_revocation_is_unknown(leaf: Issued, root: Issued) -> None:
    word = verdict(leaf, anchors=[root], revocation=Revocation.LEAF)
    assert word == Reason.REVOCATION_UNKNOWN.value


# --- roots -----------------------------------------------------------------------------------------------------------


def test_the_roots_are_certificates_that_openssl_can_read(system_root: Issued) -> None:
    roots = WindowsVerifier().roots()
    assert system_root.der in roots
    assert len(roots) > 50
    assert len(set(roots)) == len(roots)
    for der in roots:
        x509.load_der_x509_certificate(der)
