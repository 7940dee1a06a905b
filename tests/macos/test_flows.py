"""Verdicts: what macOS decides about each kind of chain, and how it reaches the caller."""

from __future__ import annotations

import datetime
import ssl
from typing import Any

import pytest

from macos import pki
from macos.framework_double import Double, Setting
from macos.pki import issue
from macos.world import NAME, World, assert_no_verdict, assert_refused, refusal, verify
from truststore._backends.macos import MacOSVerifier
from truststore._errors import Reason
from truststore._verify import Options, Revocation

# ---- trust -------------------------------------------------------------------------------------------------------


def test_chain_below_a_system_root_is_trusted(world: World) -> None:
    verify([world.leaf(), world.intermediate])
    verify([world.leaf(), world.intermediate, world.root])


def test_unknown_root_is_refused(world: World) -> None:
    chain = [world.private_leaf(), world.private_intermediate, world.private_root]
    error = refusal(chain)
    assert_refused(error, Reason.UNTRUSTED_ROOT, -67843)
    assert "“Private Root” certificate is not trusted" in str(error)


def test_self_signed_leaf_is_refused(world: World) -> None:
    alone = issue(NAME, names=[NAME])
    assert_refused(refusal([alone]), Reason.SELF_SIGNED, -67843)


def test_missing_intermediate_is_refused(world: World) -> None:
    assert_refused(refusal([world.leaf()]), Reason.UNKNOWN_ISSUER, -25318)


def test_private_root_that_was_not_sent_is_refused(world: World) -> None:
    assert_refused(refusal([world.private_leaf(), world.private_intermediate]), Reason.UNKNOWN_ISSUER, -25318)


def test_wrong_order_of_intermediates_does_not_matter_but_the_leaf_comes_first(world: World) -> None:
    lower = issue("Lower", world.intermediate, authority=True)
    leaf = world.leaf(issuer=lower)
    verify([leaf, world.intermediate, lower])
    verify([leaf, lower, world.intermediate])
    assert_refused(refusal([lower, leaf, world.intermediate]), Reason.WRONG_PURPOSE, -67609)


def test_forged_signature_is_refused(world: World) -> None:
    impostor = issue("Intermediate", world.root, authority=True)
    impostor.key = pki.key("p256", 99)  # signs with a key that is not the certificate's
    forged = world.leaf(issuer=impostor)
    assert_refused(refusal([forged, impostor]), Reason.UNKNOWN_ISSUER, -25318)


def test_empty_chain_is_refused_without_a_question(world: World) -> None:
    assert_refused(refusal([]), Reason.NO_CERTIFICATE, None)
    assert "SecTrustCreateWithCertificates" not in world.double.calls()


def test_leaf_that_signs_is_refused(world: World) -> None:
    leaf = world.leaf(common_name="Leaf", private_key=pki.key("p256", 6))
    below = world.leaf(issuer=leaf)
    assert_refused(refusal([below, leaf, world.intermediate]), Reason.NOT_A_CA, -67605)


def test_path_length_is_kept(world: World) -> None:
    short = issue("Short", world.root, authority=True, path_length=0)
    lower = issue("Lower", short, authority=True)
    verify([world.leaf(issuer=short), short])
    assert_refused(refusal([world.leaf(issuer=lower), lower, short]), Reason.PATH_TOO_LONG, -67611)


def test_name_constraints_are_kept(world: World) -> None:
    limited = issue("Limited", world.root, authority=True, permitted_names=["allowed.example"])
    fine = world.leaf(issuer=limited, names=["www.allowed.example"], common_name=None)
    verify([fine, limited], "www.allowed.example")
    assert_refused(refusal([world.leaf(issuer=limited), limited]), Reason.NAME_CONSTRAINT, -67689)


def test_unknown_critical_extension_is_refused(world: World) -> None:
    leaf = world.leaf(unknown_critical=True)
    assert_refused(refusal([leaf, world.intermediate]), Reason.UNKNOWN_CRITICAL_EXTENSION, -67603)


def test_administrators_decisions_count(world: World) -> None:
    chain = [world.private_leaf(), world.private_intermediate]
    world.double.decide(1, Setting.TRUST_FOR_MAIL, world.private_root.der)
    assert_refused(refusal(chain), Reason.UNKNOWN_ISSUER, -25318)
    world.double.decide(1, Setting.TRUST_FOR_TLS, world.private_root.der)
    verify(chain)
    world.double.decide(0, Setting.DENY, world.private_intermediate.der)
    assert_refused(refusal(chain), Reason.DISTRUSTED, -67654)


# ---- names -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("presented", "wanted", "matches"),
    [
        ("server.example", "server.example", True),
        ("server.example", "SERVER.Example", True),
        ("server.example", "server.example.", True),
        ("server.example", "server.example..", False),
        ("server.example", "", False),
        ("server.example", ".", False),
        ("server.example", "www.server.example", False),
        ("*.server.example", "www.server.example", True),
        ("*.server.example", "a.b.server.example", False),
        ("*.server.example", "server.example", False),
        ("*.example", "server.example", False),
        ("*.co.uk", "server.co.uk", False),
        ("*.server.co.uk", "www.server.co.uk", True),
        ("*.com.au", "server.com.au", False),
        ("*.github.io", "server.github.io", False),
        ("*.server.github.io", "www.server.github.io", True),
        ("server.example.", "server.example", False),
        ("w*.server.example", "www.server.example", False),
        ("www.*.example", "www.server.example", False),
        ("*", "server", False),
        ("xn--bcher-kva.example", "xn--bcher-kva.example", True),
        ("10.0.0.1", "10.0.0.1", False),
    ],
)
def test_dns_names(world: World, presented: str, wanted: str, matches: bool) -> None:
    chain = [world.leaf(names=[presented]), world.intermediate]
    if matches:
        verify(chain, wanted)
    else:
        error = refusal(chain, wanted)
        reason = Reason.WRONG_IP_ADDRESS if wanted == "10.0.0.1" else Reason.WRONG_NAME
        assert_refused(error, reason, -67602)
        assert repr(wanted) in str(error)


@pytest.mark.parametrize(
    ("presented", "wanted", "matches"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.2", False),
        ("::1", "::1", True),
        ("::1", "0:0:0:0:0:0:0:1", True),
        ("::1", "::2", False),
        ("127.0.0.1", "::ffff:127.0.0.1", False),
    ],
)
def test_ip_addresses(world: World, presented: str, wanted: str, matches: bool) -> None:
    chain = [world.leaf(names=[], addresses=[presented]), world.intermediate]
    if matches:
        verify(chain, wanted)
    else:
        assert_refused(refusal(chain, wanted), Reason.WRONG_IP_ADDRESS, -67602)


def test_common_name_does_not_count(world: World) -> None:
    chain = [world.leaf(names=[]), world.intermediate]
    assert_refused(refusal(chain), Reason.WRONG_NAME, -67602)


def test_without_a_server_name_every_other_rule_holds(world: World) -> None:
    verify([world.leaf(names=["other.example"]), world.intermediate], None)
    expired = world.leaf(start=pki.NOW - pki.days(100), life=pki.days(50))
    assert_refused(refusal([expired, world.intermediate], None), Reason.EXPIRED, -67818)
    assert_refused(refusal([world.leaf(usages=[pki.MAIL]), world.intermediate], None), Reason.WRONG_PURPOSE, -67609)
    assert_refused(refusal([world.private_leaf()], None), Reason.UNKNOWN_ISSUER, -25318)


# ---- what a server's certificate must be -----------------------------------------------------------------------


def test_expired_certificates_are_refused(world: World) -> None:
    old = pki.NOW - pki.days(100)
    assert_refused(refusal([world.leaf(start=old, life=pki.days(50)), world.intermediate]), Reason.EXPIRED, -67818)
    intermediate = issue("Old", world.root, authority=True, start=old, life=pki.days(50))
    assert_refused(refusal([world.leaf(issuer=intermediate), intermediate]), Reason.EXPIRED, -67818)


def test_not_yet_valid_certificate_is_refused(world: World) -> None:
    leaf = world.leaf(start=pki.NOW + pki.days(10))
    # macOS has one code and one sentence for both ends of a certificate's life.
    assert_refused(refusal([leaf, world.intermediate]), Reason.EXPIRED, -67818)


@pytest.mark.parametrize(
    ("usages", "system", "extra"),
    [
        ([pki.SERVER_AUTH], True, True),
        ([pki.CLIENT_AUTH, pki.SERVER_AUTH], True, True),
        ([pki.CLIENT_AUTH], False, False),
        ([pki.ANY_USAGE], False, False),
        ([pki.NETSCAPE_SGC], False, False),
        ([], False, False),
    ],
)
def test_extended_key_usage(world: World, usages: list[Any], system: bool, extra: bool) -> None:
    anchors = [world.private_root.der]
    for chain, trusted in (
        ([world.leaf(usages=usages), world.intermediate], system),
        ([world.private_leaf(usages=usages), world.private_intermediate], extra),
    ):
        if trusted:
            verify(chain, extra_anchors=anchors)
        else:
            error = refusal(chain, extra_anchors=anchors)
            assert_refused(error, Reason.WRONG_PURPOSE, -67609)
            assert "serverAuth" in str(error)


@pytest.mark.parametrize(
    ("usages", "trusted"), [([], True), ([pki.SERVER_AUTH], True), ([pki.ANY_USAGE], True), ([pki.MAIL], False)]
)
def test_usages_of_an_intermediate_matter_below_system_roots_only(
    world: World, usages: list[Any], trusted: bool
) -> None:
    for root, expected in ((world.root, trusted), (world.private_root, True)):
        intermediate = issue("Limited", root, authority=True, usages=usages)
        chain = [world.leaf(issuer=intermediate), intermediate]
        if expected:
            verify(chain, extra_anchors=[world.private_root.der])
        else:
            assert_refused(refusal(chain), Reason.WRONG_PURPOSE, -67609)


@pytest.mark.parametrize(
    ("days", "system", "extra"), [(398, True, True), (399, False, True), (825, False, True), (826, False, False)]
)
def test_length_of_life(world: World, days: int, system: bool, extra: bool) -> None:
    anchors = [world.private_root.der]
    life = pki.days(days)
    for chain, trusted in (
        ([world.leaf(life=life), world.intermediate], system),
        ([world.private_leaf(life=life), world.private_intermediate], extra),
    ):
        if trusted:
            verify(chain, extra_anchors=anchors)
        else:
            error = refusal(chain, extra_anchors=anchors)
            assert_refused(error, Reason.STANDARDS, -67901)
            assert "825 days" in str(error)
            assert "398 days" in str(error)


@pytest.mark.parametrize("kind", ["rsa1024", "p224"])
@pytest.mark.parametrize("place", ["leaf", "intermediate", "anchor"])
def test_weak_keys_are_refused(world: World, kind: str, place: str) -> None:
    keys = {each: pki.key("p256", number) for number, each in enumerate(("leaf", "intermediate", "anchor"), 10)}
    keys[place] = pki.key(kind)
    root = issue("Weak Root", authority=True, private_key=keys["anchor"])
    intermediate = issue("Weak", root, authority=True, private_key=keys["intermediate"])
    leaf = world.leaf(issuer=intermediate, private_key=keys["leaf"])
    error = refusal([leaf, intermediate], extra_anchors=[root.der])
    assert_refused(error, Reason.WEAK_KEY, -67735)
    assert "2048 bits" in str(error)


def test_sha1_signatures_are_refused(world: World) -> None:
    leaf = world.leaf(sha1=True)
    assert_refused(refusal([leaf, world.intermediate]), Reason.WEAK_SIGNATURE, -67815)


def test_sha1_signature_of_a_root_does_not_matter(world: World) -> None:
    root = issue("Old Root", authority=True, sha1=True)
    verify([world.leaf(issuer=root)], extra_anchors=[root.der])


def test_key_identifiers_must_agree(world: World) -> None:
    leaf = world.leaf(issuer_key_id=b"\x01" * 20)
    assert_refused(refusal([leaf, world.intermediate]), Reason.STANDARDS, -67610)
    verify([world.leaf(without_key_ids=True), world.intermediate])


# ---- extra anchors -----------------------------------------------------------------------------------------------


def test_extra_anchors_are_trusted_besides_the_systems(world: World) -> None:
    anchors = [world.private_root.der]
    private = [world.private_leaf(), world.private_intermediate]
    assert_refused(refusal(private), Reason.UNKNOWN_ISSUER, -25318)
    verify(private, extra_anchors=anchors)
    verify([world.leaf(), world.intermediate], extra_anchors=anchors)
    assert_refused(refusal(private, "other.example", extra_anchors=anchors), Reason.WRONG_NAME, -67602)


def test_any_certificate_may_be_an_extra_anchor(world: World) -> None:
    leaf = world.private_leaf()
    verify([leaf], extra_anchors=[world.private_intermediate.der])
    verify([leaf], extra_anchors=[leaf.der])


def test_extra_anchor_that_macos_cannot_parse_is_an_error(world: World) -> None:
    chain = [world.leaf(), world.intermediate]
    error = refusal(chain, extra_anchors=[world.private_root.der, b"nonsense"])
    assert_no_verdict(error)
    assert "extra anchor 1" in str(error)
    assert "SecCertificateCreateWithData" in str(error)


def test_only_anchors_replace_the_systems(world: World) -> None:
    verifier = MacOSVerifier(only_anchors=[world.private_root.der])
    private = [world.private_leaf().der, world.private_intermediate.der]
    verifier.verify(private, Options(NAME))
    with pytest.raises(ssl.SSLCertVerificationError):
        verifier.verify([world.leaf().der, world.intermediate.der], Options(NAME))
    with pytest.raises(ssl.SSLCertVerificationError):
        MacOSVerifier(only_anchors=[]).verify([world.leaf().der, world.intermediate.der], Options(NAME))


def test_moment_is_judged(world: World) -> None:
    chain = [world.leaf().der, world.intermediate.der]
    MacOSVerifier(moment=(pki.NOW + pki.days(1)).timestamp()).verify(chain, Options(NAME))
    with pytest.raises(ssl.SSLCertVerificationError) as caught:
        MacOSVerifier(moment=(pki.NOW + pki.days(400)).timestamp()).verify(chain, Options(NAME))
    assert_refused(caught.value, Reason.EXPIRED, -67818)


# ---- revocation --------------------------------------------------------------------------------------------------


def test_revocation_is_not_asked_for_by_default(world: World) -> None:
    leaf = world.leaf()
    world.double.answer_ocsp(pki.ocsp_response(leaf, revoked=True))
    verify([leaf, world.intermediate])
    assert world.double.network_attempts() == 0


def test_revocation_of_the_chain(world: World) -> None:
    leaf = world.leaf()
    chain = [leaf, world.intermediate]
    world.double.answer_ocsp(pki.ocsp_response(leaf, revoked=False))
    verify(chain, revocation=Revocation.CHAIN)
    assert world.double.network_attempts() == 1
    world.double.answer_ocsp(pki.ocsp_response(leaf, revoked=True))
    assert_refused(refusal(chain, revocation=Revocation.CHAIN), Reason.REVOKED, -67820)


def test_no_answer_about_revocation_is_a_refusal(world: World) -> None:
    leaf = world.leaf()
    for answer in (b"", b"nonsense", pki.ocsp_response(world.private_leaf(), revoked=False)):
        world.double.answer_ocsp(answer)
        error = refusal([leaf, world.intermediate], revocation=Revocation.CHAIN)
        assert_refused(error, Reason.REVOCATION_UNKNOWN, -67635)
        assert '"server.example","Intermediate","System Root" certificates' in str(error)


def test_revocation_of_the_leaf_alone_is_an_error_that_names_the_flag(world: World) -> None:
    error = refusal([world.leaf(), world.intermediate], revocation=Revocation.LEAF)
    assert_no_verdict(error)
    assert "VERIFY_CRL_CHECK_LEAF" in str(error)


# ---- odd certificates and odd words --------------------------------------------------------------------------------


def test_certificate_that_macos_cannot_parse_is_a_refused_peer(world: World) -> None:
    leaf = world.leaf()
    long_serial = pki.with_serial(leaf, b"\x01" * 41)
    verify([pki.with_serial(leaf, b"\x01" * 37), world.intermediate])
    for chain in ([long_serial, world.intermediate], [b"", world.intermediate], [leaf, b"nonsense"]):
        error = refusal(chain)
        assert_refused(error, Reason.BAD_ENCODING, None)
        assert f"certificate {0 if chain[0] != leaf else 1} of the peer's chain" in str(error)


@pytest.mark.parametrize("common_name", ["x" * 1100, "ü" * 900, "\U0001f600" * 500, "\U0001f600", "中文 العربية"])
def test_words_of_any_length_and_script(world: World, common_name: str) -> None:
    chain = [world.leaf(common_name=common_name), world.intermediate]
    verify(chain)
    error = refusal(chain, "other.example")
    assert_refused(error, Reason.WRONG_NAME, -67602)
    assert f"“{common_name}” certificate name does not match input" in str(error)


def test_control_characters_of_a_peer_do_not_reach_logs(world: World) -> None:
    chain = [world.leaf(common_name="a\n\x1b[31mb\u202ec"), world.intermediate]
    error = refusal(chain, "other.example")
    assert "“a\\n\\x1b[31mb\\u202ec” certificate name does not match input" in str(error)


def test_certificate_without_a_subject(world: World) -> None:
    chain = [world.leaf(common_name=None), world.intermediate]
    verify(chain)
    assert "“server.example” certificate" in str(refusal(chain, "other.example"))


def test_twenty_intermediates(world: World) -> None:
    chain = [world.root]
    for number in range(20):
        chain.insert(0, issue(f"Intermediate {number}", chain[0], authority=True))
    leaf = world.leaf(issuer=chain[0])
    verify([leaf, *chain])
    assert_refused(refusal([leaf, *chain], "other.example"), Reason.WRONG_NAME, -67602)
    assert_refused(refusal([leaf, *chain[:10], *chain[11:]]), Reason.UNKNOWN_ISSUER, -25318)


def test_server_name_that_is_no_text_for_the_system(world: World) -> None:
    chain = [world.leaf(), world.intermediate]
    assert_refused(refusal(chain, "bücher.example"), Reason.WRONG_NAME, -67602)
    assert_refused(refusal(chain, f"{NAME}\0.other"), Reason.WRONG_NAME, -67602)
    error = refusal(chain, "\udc80.example")
    assert_no_verdict(error)


# ---- no verdict ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [-26276, -25291, -2070, -50, -108, -67585])
def test_trustd_out_of_reach(world: World, status: int) -> None:
    world.double.force_status(status)
    error = refusal([world.leaf(), world.intermediate])
    assert_no_verdict(error)
    assert error.native_code == status  # type: ignore[attr-defined]
    for word in ("SecTrustEvaluateWithError", "trustd", "SSL_CERT_FILE"):
        assert word in str(error)


@pytest.mark.parametrize(
    "how", ["SecTrustEvaluateWithError/no error object", "SecTrustEvaluateWithError/foreign domain"]
)
def test_failure_without_a_verdict(world: World, how: str) -> None:
    world.double.fail(how)
    error = refusal([world.leaf(), world.intermediate])
    assert_no_verdict(error)
    assert "trustd" in str(error)


def test_unknown_code_is_a_refusal(world: World) -> None:
    world.double.force_status(-99999)
    assert_refused(refusal([world.leaf(), world.intermediate]), Reason.OTHER, -99999)


def test_verdict_without_words_has_ours(world: World) -> None:
    world.double.fail("CFErrorCopyDescription")
    world.double.fail("SecCopyErrorMessageString")
    error = refusal([world.leaf(), world.intermediate], "other.example")
    assert_refused(error, Reason.WRONG_NAME, -67602)
    assert "hostname mismatch (errSecHostNameMismatch -67602)" in str(error)


# ---- precedence ----------------------------------------------------------------------------------------------------


def test_gravest_failure_is_reported(world: World) -> None:
    """Each step repairs what was reported, and the next failure in Apple's order comes to light."""
    how: dict[str, Any] = {
        "names": ["other.example"],
        "start": pki.NOW - pki.days(1000),
        "life": pki.days(900),
        "usages": [pki.MAIL],
        "private_key": pki.key("p224"),
        "sha1": True,
    }
    steps: list[tuple[Reason, int, dict[str, Any]]] = [
        (Reason.WEAK_KEY, -67735, {"private_key": pki.key("p256", 5)}),
        (Reason.WEAK_SIGNATURE, -67815, {"sha1": False}),
        (Reason.STANDARDS, -67901, {"start": pki.NOW - pki.days(500), "life": pki.days(300)}),
        (Reason.UNKNOWN_ISSUER, -25318, {"issuer": world.intermediate}),
        (Reason.WRONG_PURPOSE, -67609, {"usages": [pki.SERVER_AUTH]}),
        (Reason.WRONG_NAME, -67602, {"names": [NAME]}),
        (Reason.EXPIRED, -67818, {"start": pki.NOW - pki.days(1)}),
    ]
    for reason, code, repair in steps:
        leaf = world.private_leaf(**how)
        assert_refused(refusal([leaf, world.intermediate]), reason, code)
        how |= repair
    verify([world.private_leaf(**how), world.intermediate])


def test_dates_of_rules(double: Double) -> None:
    """Rules apply from the day they say, by the certificate's own start."""
    root = issue("Root", authority=True, start=datetime.datetime(2010, 1, 1), life=pki.days(8000))
    for start, days, system, extra in (
        (datetime.datetime(2016, 6, 1), 365 * 5 + 2, True, True),
        (datetime.datetime(2016, 8, 1), 365 * 5 + 2, False, True),
        (datetime.datetime(2019, 6, 1), 1100, False, True),
        (datetime.datetime(2019, 8, 1), 1100, False, False),
        (datetime.datetime(2020, 8, 1), 800, True, True),
        (datetime.datetime(2020, 10, 1), 800, False, True),
    ):
        leaf = issue(NAME, root, names=[NAME], start=start, life=pki.days(days))
        moment = (start + pki.days(10)).replace(tzinfo=datetime.timezone.utc).timestamp()
        for trusted_by_system, expected in ((False, extra), (True, system)):
            double.reset()
            if trusted_by_system:
                double.trust_as_system(root.der)
            verifier = MacOSVerifier(only_anchors=[root.der], moment=moment)
            if expected:
                verifier.verify([leaf.der], Options(NAME))
            else:
                with pytest.raises(ssl.SSLCertVerificationError) as caught:
                    verifier.verify([leaf.der], Options(NAME))
                assert_refused(caught.value, Reason.STANDARDS, -67901)
