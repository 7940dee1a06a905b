"""The Windows verifier against the double of CryptoAPI: verdicts, calls that fail, and what is left behind."""

from __future__ import annotations

import ssl
from collections.abc import Callable

import pytest
from harness.cryptoapi import (
    ANY_USAGE,
    CANNOT_FAIL,
    CLIENT_AUTH,
    CRYPT_E_ASN1_EOD,
    SERVER_AUTH,
    UNDECODABLE,
    CryptoApi,
    Injected,
    Model,
)

from truststore._backends import windows
from truststore._errors import Reason
from truststore._ffi import crypt32
from truststore._verify import Options, Revocation

ROOT = Model("root", "root")
INTERMEDIATE = Model("intermediate", "root")
LEAF = Model("leaf", "intermediate", names=("good.test", "*.wild.test", "127.0.0.1", "::1"), usages=(SERVER_AUTH,))
OTHER_ROOT = Model("other root", "other root")
CHAIN = (LEAF, INTERMEDIATE)


def verify(
    api: CryptoApi,
    chain: tuple[Model, ...] = CHAIN,
    name: str | None = "good.test",
    revocation: Revocation = Revocation.NONE,
    anchors: tuple[Model, ...] = (),
) -> None:
    """Returns if accepted. Whatever happens, nothing may be left alive."""
    options = Options(name, revocation, [anchor.der for anchor in anchors])
    try:
        windows.WindowsVerifier(api.bindings()).verify([model.der for model in chain], options)
    finally:
        api.assert_clean()


def refused(
    api: CryptoApi,
    reason: Reason,
    native_code: int | None = None,
    chain: tuple[Model, ...] = CHAIN,
    name: str | None = "good.test",
    revocation: Revocation = Revocation.NONE,
    anchors: tuple[Model, ...] = (),
) -> ssl.SSLCertVerificationError:
    with pytest.raises(ssl.SSLCertVerificationError) as caught:
        verify(api, chain, name, revocation, anchors)
    error = caught.value
    assert vars(error)["reason_word"] == reason.value
    assert error.verify_code == reason.verify_code
    if native_code is not None:
        assert vars(error)["native_code"] == native_code
    return error


# --- trust -----------------------------------------------------------------------------------------------------------


def test_a_chain_to_a_root_of_the_system_is_accepted() -> None:
    api = CryptoApi([ROOT])
    verify(api)
    assert api.engines_used == ["default"]


def test_an_empty_chain_is_refused_without_asking() -> None:
    api = CryptoApi([ROOT])
    refused(api, Reason.NO_CERTIFICATE, chain=())
    assert api.calls == []


def test_without_the_intermediate_the_chain_is_partial() -> None:
    refused(CryptoApi([ROOT]), Reason.UNKNOWN_ISSUER, crypt32.CERT_E_CHAINING, chain=(LEAF,))


def test_a_root_that_the_peer_sends_is_not_trusted_for_that() -> None:
    api = CryptoApi([OTHER_ROOT])
    refused(api, Reason.UNTRUSTED_ROOT, crypt32.CERT_E_UNTRUSTEDROOT, chain=(*CHAIN, ROOT))
    assert api.engines_used == ["default"]


def test_a_lone_self_signed_certificate_has_openssls_verify_code_for_that() -> None:
    lone = Model("lone", "lone", names=("good.test",))
    assert refused(CryptoApi([ROOT]), Reason.SELF_SIGNED, chain=(lone,)).verify_code == 18


def test_a_certificate_for_clients_is_refused() -> None:
    leaf = LEAF._replace(usages=(CLIENT_AUTH,))
    refused(CryptoApi([ROOT]), Reason.WRONG_PURPOSE, crypt32.CERT_E_WRONG_USAGE, chain=(leaf, INTERMEDIATE))


@pytest.mark.parametrize("position", [0, 1, 2])
@pytest.mark.parametrize(("validity", "reason"), [(1, Reason.EXPIRED), (-1, Reason.NOT_YET_VALID)])
def test_expired_and_not_yet_valid_are_told_apart(position: int, validity: int, reason: Reason) -> None:
    models = [LEAF, INTERMEDIATE, ROOT]
    models[position] = models[position]._replace(validity=validity)
    refused(CryptoApi([models[2]]), reason, crypt32.CERT_E_EXPIRED, chain=(models[0], models[1]))


def test_the_wait_for_retrievals_is_bounded() -> None:
    api = CryptoApi()
    verify(api, anchors=(ROOT,))
    assert len(api.timeouts) == 2
    assert all(0 < milliseconds <= 15_000 for milliseconds in api.timeouts)


# --- extra anchors ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chain", [CHAIN, (*CHAIN, ROOT)], ids=["partial chain", "untrusted root"])
def test_an_extra_anchor_is_asked_where_only_a_root_is_missing(chain: tuple[Model, ...]) -> None:
    api = CryptoApi([OTHER_ROOT])
    verify(api, chain, anchors=(ROOT,))
    assert api.engines_used == ["default", "exclusive"]


def test_the_second_engine_trusts_the_extra_anchors_and_nothing_else() -> None:
    # Its answer differs from the default engine's although the system trusts the root: only the anchors count.
    api = CryptoApi([])
    refused(api, Reason.UNTRUSTED_ROOT, crypt32.CERT_E_UNTRUSTEDROOT, chain=(*CHAIN, ROOT), anchors=(OTHER_ROOT,))
    assert api.engines_used == ["default", "exclusive"]


def test_an_extra_anchor_is_not_asked_for_a_chain_that_the_system_trusts() -> None:
    api = CryptoApi([ROOT])
    verify(api, anchors=(OTHER_ROOT,))
    assert api.engines_used == ["default"]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (crypt32.CERT_TRUST_IS_EXPLICIT_DISTRUST, Reason.DISTRUSTED),
        (crypt32.CERT_TRUST_IS_REVOKED, Reason.REVOKED),
        (crypt32.CERT_TRUST_IS_NOT_SIGNATURE_VALID, Reason.BAD_SIGNATURE),
        (crypt32.CERT_TRUST_HAS_WEAK_SIGNATURE, Reason.WEAK_SIGNATURE),
        (crypt32.CERT_TRUST_INVALID_BASIC_CONSTRAINTS, Reason.NOT_A_CA),
        (crypt32.CERT_TRUST_HAS_EXCLUDED_NAME_CONSTRAINT, Reason.NAME_CONSTRAINT),
        (crypt32.CERT_TRUST_REVOCATION_STATUS_UNKNOWN, Reason.REVOCATION_UNKNOWN),
        (0x40000000, Reason.OTHER),
    ],
)
def test_another_fault_gets_no_second_chance_and_is_what_the_error_names(fault: int, reason: Reason) -> None:
    api = CryptoApi([])
    leaf = LEAF._replace(faults=fault)
    refused(api, reason, chain=(leaf, INTERMEDIATE), anchors=(ROOT,))
    assert api.engines_used == ["default"]


def test_expired_with_an_extra_anchor_is_reported_as_expired() -> None:
    api = CryptoApi([])
    leaf = LEAF._replace(validity=1)
    refused(api, Reason.EXPIRED, crypt32.CERT_E_EXPIRED, chain=(leaf, INTERMEDIATE), anchors=(ROOT,))
    assert api.engines_used == ["default"]


def test_the_name_is_checked_below_an_extra_anchor_too() -> None:
    api = CryptoApi([])
    refused(api, Reason.WRONG_NAME, crypt32.CERT_E_CN_NO_MATCH, name="bad.test", anchors=(ROOT,))
    assert api.engines_used == ["default", "exclusive"]
    assert api.server_names == ["bad.test", "bad.test"]


def test_the_purpose_is_checked_below_an_extra_anchor_too() -> None:
    leaf = LEAF._replace(usages=(CLIENT_AUTH,))
    refused(CryptoApi([]), Reason.WRONG_PURPOSE, chain=(leaf, INTERMEDIATE), anchors=(ROOT,))


def test_an_intermediate_among_the_extra_anchors_completes_the_chain() -> None:
    verify(CryptoApi([]), chain=(LEAF,), anchors=(ROOT, INTERMEDIATE))


def test_an_intermediate_alone_is_no_anchor() -> None:
    refused(CryptoApi([]), Reason.UNKNOWN_ISSUER, anchors=(INTERMEDIATE,))


def test_an_engine_that_is_null_is_not_taken_for_the_default_engine() -> None:
    api = CryptoApi([])
    api.without_product = "CertCreateCertificateChainEngine"
    with pytest.raises(ssl.SSLError, match="CertCreateCertificateChainEngine"):
        verify(api, anchors=(ROOT,))
    assert api.engines_used == ["default"]


# --- server names ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("good.test", "good.test"),
        ("GOOD.test", "GOOD.test"),
        ("good.test.", "good.test"),
        ("a.wild.test", "a.wild.test"),
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "::1"),
        ("0:0:0:0:0:0:0:1", "::1"),
    ],
)
def test_a_name_that_matches_is_accepted(name: str, asked: str) -> None:
    api = CryptoApi([ROOT])
    verify(api, name=name)
    assert api.server_names == [asked]


def test_an_internationalized_name_is_asked_for_as_its_a_label() -> None:
    api = CryptoApi([ROOT])
    verify(api, (LEAF._replace(names=("xn--bcher-kva.test",)), INTERMEDIATE), name="xn--bcher-kva.test")


@pytest.mark.parametrize("name", ["bad.test", "a.b.wild.test", "test", "xn--bcher-kva.test"])
def test_a_name_that_does_not_match_is_refused_and_named(name: str) -> None:
    error = refused(CryptoApi([ROOT]), Reason.WRONG_NAME, crypt32.CERT_E_CN_NO_MATCH, name=name)
    assert repr(name) in error.verify_message


@pytest.mark.parametrize("name", ["127.0.0.2", "::2"])
def test_an_ip_address_that_does_not_match_has_openssls_verify_code_for_that(name: str) -> None:
    assert refused(CryptoApi([ROOT]), Reason.WRONG_IP_ADDRESS, name=name).verify_code == 64


def test_without_a_name_the_name_is_not_checked_and_everything_else_is() -> None:
    api = CryptoApi([ROOT])
    verify(api, name=None)
    assert api.server_names == [None]
    refused(CryptoApi([]), Reason.UNKNOWN_ISSUER, name=None)


@pytest.mark.parametrize("name", ["", ".", "good.test\0.evil.test", "\0", "b\u00fccher.test"])
def test_a_name_that_nobody_can_have_never_reaches_the_system(name: str) -> None:
    api = CryptoApi([ROOT])
    refused(api, Reason.WRONG_NAME, name=name)
    assert api.calls == []


# --- revocation ------------------------------------------------------------------------------------------------------


def test_nothing_is_checked_or_fetched_for_revocation_unless_asked() -> None:
    api = CryptoApi([ROOT])
    verify(api, (LEAF._replace(revocation="revoked"), INTERMEDIATE))
    assert api.revocation_checked == []
    assert api.cache_only == [True]


@pytest.mark.parametrize(
    ("revocation", "checked"),
    [(Revocation.LEAF, ["leaf"]), (Revocation.CHAIN, ["leaf", "intermediate"])],
)
def test_leaf_and_chain_are_told_apart(revocation: Revocation, checked: list[str]) -> None:
    api = CryptoApi([ROOT])
    verify(api, revocation=revocation)
    assert api.revocation_checked == checked
    assert api.cache_only == [False]


def test_a_revoked_intermediate_is_refused_if_the_chain_is_checked_and_not_if_the_leaf_is() -> None:
    chain = (LEAF, INTERMEDIATE._replace(revocation="revoked"))
    verify(CryptoApi([ROOT]), chain, revocation=Revocation.LEAF)
    refused(CryptoApi([ROOT]), Reason.REVOKED, crypt32.CRYPT_E_REVOKED, chain=chain, revocation=Revocation.CHAIN)


@pytest.mark.parametrize("anchors", [(), (ROOT,)], ids=["system", "extra anchor"])
@pytest.mark.parametrize(
    ("outcome", "reason", "code"),
    [
        ("revoked", Reason.REVOKED, crypt32.CRYPT_E_REVOKED),
        ("offline", Reason.REVOCATION_UNKNOWN, crypt32.CRYPT_E_REVOCATION_OFFLINE),
        ("unknown", Reason.REVOCATION_UNKNOWN, crypt32.CRYPT_E_NO_REVOCATION_CHECK),
    ],
)
def test_an_outcome_other_than_good_is_refused(
    outcome: str, reason: Reason, code: int, anchors: tuple[Model, ...]
) -> None:
    chain = (LEAF._replace(revocation=outcome), INTERMEDIATE)
    api = CryptoApi([] if anchors else [ROOT])
    refused(api, reason, code, chain=chain, revocation=Revocation.LEAF, anchors=anchors)


def test_below_an_extra_anchor_revocation_is_checked_by_the_second_engine() -> None:
    # The first cannot: Windows finds out nothing about a chain that it does not trust.
    api = CryptoApi([])
    verify(api, revocation=Revocation.CHAIN, anchors=(ROOT,))
    assert api.revocation_checked == ["leaf", "intermediate"] * 2
    assert api.engines_used == ["default", "exclusive"]


# --- the two answers -------------------------------------------------------------------------------------------------

ALL_BITS = [1 << position for position in range(32)]
HRESULTS = [value for name, value in vars(crypt32).items() if name.startswith(("CERT_E_", "TRUST_E_", "CRYPT_E_"))]


@pytest.mark.parametrize("bit", ALL_BITS, ids=hex)
def test_no_complaint_of_the_chain_is_overlooked_when_the_policy_has_none(bit: int) -> None:
    api = CryptoApi([ROOT])
    api.policy_error = 0
    with pytest.raises(ssl.SSLCertVerificationError):
        verify(api, (LEAF._replace(faults=bit), INTERMEDIATE))


@pytest.mark.parametrize("code", [1, 0x7FFFFFFF, 0xFFFFFFFF, *HRESULTS], ids=hex)
def test_no_error_of_the_policy_is_overlooked_when_the_chain_has_none(code: int) -> None:
    api = CryptoApi([ROOT])
    api.policy_error = code
    with pytest.raises(ssl.SSLCertVerificationError) as caught:
        verify(api)
    assert vars(caught.value)["native_code"] == code
    assert f"{code:#010x}" in str(caught.value)


def test_a_code_that_nobody_mapped_is_a_refusal_of_its_own() -> None:
    api = CryptoApi([ROOT])
    api.policy_error = 0x800B01FF
    refused(api, Reason.OTHER, 0x800B01FF)


@pytest.mark.parametrize("anchors", [(), (ROOT,)])
def test_a_policy_without_complaint_does_not_make_a_partial_chain_good(anchors: tuple[Model, ...]) -> None:
    # As Wine's policy does.
    api = CryptoApi([])
    api.policy_error = 0
    refused(api, Reason.UNKNOWN_ISSUER, crypt32.CERT_E_CHAINING, chain=(LEAF,), anchors=anchors)


def test_a_chain_without_certificates_is_refused() -> None:
    api = CryptoApi([ROOT])
    api.chain_is_empty = True
    with pytest.raises(ssl.SSLError, match="holds no certificate"):
        verify(api)


def test_a_chain_that_is_null_is_refused() -> None:
    api = CryptoApi([ROOT])
    api.without_product = "CertGetCertificateChain"
    with pytest.raises(ssl.SSLError, match="CertGetCertificateChain"):
        verify(api)


def test_a_policy_that_says_nothing_is_no_acceptance() -> None:
    api = CryptoApi([ROOT])
    api.without_product = "CertVerifyCertificateChainPolicy"
    refused(api, Reason.OTHER, crypt32.TRUST_E_FAIL)


# --- words -----------------------------------------------------------------------------------------------------------


def test_the_message_has_the_systems_words_if_it_has_some() -> None:
    api = CryptoApi([])
    api.texts[crypt32.CERT_E_CHAINING] = "Kette nicht erstellt \u2013 %1.\r\n"
    error = refused(api, Reason.UNKNOWN_ISSUER)
    assert error.verify_message == "Kette nicht erstellt \u2013 %1. (0x800b010a)"
    assert error.reason == "CERTIFICATE_VERIFY_FAILED"
    assert error.library == "SSL"
    assert error.errno == 1


def test_the_message_has_our_words_if_the_system_has_none() -> None:
    error = refused(CryptoApi([]), Reason.UNKNOWN_ISSUER)
    assert error.verify_message == "unable to get local issuer certificate (0x800b010a)"


def test_a_call_that_fails_is_named_with_the_systems_words_and_code() -> None:
    api = CryptoApi([ROOT])
    api.texts[8] = "Not enough memory."
    api.injected = Injected(0)
    with pytest.raises(
        ssl.SSLError, match=r"CertCreateCertificateContext failed: Not enough memory\. \(0x8\)"
    ) as caught:
        verify(api)
    assert not isinstance(caught.value, ssl.SSLCertVerificationError)
    assert vars(caught.value)["native_code"] == 8


@pytest.mark.parametrize("position", [0, 1], ids=["leaf", "intermediate"])
@pytest.mark.parametrize("code", [CRYPT_E_ASN1_EOD, 0x80093000, 0x80092002], ids=hex)
def test_a_certificate_that_windows_cannot_decode_is_a_verdict(position: int, code: int) -> None:
    api = CryptoApi([ROOT])
    chain = [LEAF.der, INTERMEDIATE.der]
    chain[position] = UNDECODABLE
    api.injected = Injected({0: 0, 1: 2}[position], error=code)
    with pytest.raises(ssl.SSLCertVerificationError) as caught:
        windows.WindowsVerifier(api.bindings()).verify(chain, Options("good.test"))
    api.assert_clean()
    assert vars(caught.value)["reason_word"] == Reason.BAD_ENCODING.value
    assert vars(caught.value)["native_code"] == code


# --- every call fails ------------------------------------------------------------------------------------------------


def _system(api: CryptoApi) -> None:
    verify(api)


def _anchors(api: CryptoApi) -> None:
    api.system_stores["ROOT"] = []
    verify(api, anchors=(ROOT, INTERMEDIATE), revocation=Revocation.CHAIN)


def _expired(api: CryptoApi) -> None:
    verify(api, (LEAF._replace(validity=1), INTERMEDIATE))


def _roots(api: CryptoApi) -> object:
    api.system_stores["ROOT"] = [ROOT.der, LEAF.der]
    api.system_stores["Disallowed"] = [OTHER_ROOT.der]
    try:
        return windows.WindowsVerifier(api.bindings()).roots()
    finally:
        api.assert_clean()


SCENARIOS = (_system, _anchors, _expired, _roots)


def _failing_calls(scenario: Callable[[CryptoApi], object]) -> list[tuple[int, str]]:
    """Runs the scenario once to see which calls it makes."""
    api = CryptoApi([ROOT])
    try:
        scenario(api)
    except ssl.SSLCertVerificationError:
        assert scenario is _expired
    return [(index, call) for index, call in enumerate(api.calls) if call not in CANNOT_FAIL]


@pytest.mark.parametrize(
    ("scenario", "index", "call"),
    [
        pytest.param(scenario, index, call, id=f"{scenario.__name__[1:]}-{index}-{call}")
        for scenario in SCENARIOS
        for index, call in _failing_calls(scenario)
    ],
)
def test_a_call_that_fails_is_never_success_and_leaves_nothing_behind(
    scenario: Callable[[CryptoApi], object], index: int, call: str
) -> None:
    api = CryptoApi([ROOT])
    api.injected = Injected(index)
    if call == "CertGetEnhancedKeyUsage":
        result = scenario(api)  # an entry whose purposes cannot be read is left out
        assert isinstance(result, list)
        assert len(result) == 1
    else:
        with pytest.raises(ssl.SSLError) as caught:
            scenario(api)
        if not isinstance(caught.value, ssl.SSLCertVerificationError):
            assert call in str(caught.value)
            assert vars(caught.value)["native_code"] == api.injected.error
        else:
            assert scenario is _expired
    assert api.failed == call
    assert api.live == {}


def test_the_failing_calls_cover_every_function_that_can_fail() -> None:
    seen = {call for scenario in SCENARIOS for _, call in _failing_calls(scenario)}
    assert seen == {name for _, name, _, _ in crypt32.PROTOTYPES} - CANNOT_FAIL


def test_an_interrupt_in_the_middle_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(chain: object) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr(windows, "_elements", interrupt)
    with pytest.raises(KeyboardInterrupt):
        verify(CryptoApi([]), anchors=(ROOT,))


def test_an_interrupt_while_the_roots_are_listed_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(api: object, context: object, purpose: object) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(windows._Api, "_is_good_for", interrupt)
    with pytest.raises(KeyboardInterrupt):
        roots(CryptoApi([ROOT]))


# --- roots -----------------------------------------------------------------------------------------------------------


def roots(api: CryptoApi) -> list[bytes]:
    try:
        return windows.WindowsVerifier(api.bindings()).roots()
    finally:
        api.assert_clean()


def test_roots_are_those_good_for_servers_each_once() -> None:
    any_purpose = Model("any", "any", usages=(ANY_USAGE,))
    servers = Model("servers", "servers", usages=(CLIENT_AUTH, SERVER_AUTH))
    clients = Model("clients", "clients", usages=(CLIENT_AUTH,))
    nothing = Model("nothing", "nothing", usages=())
    assert roots(CryptoApi([ROOT, any_purpose, servers, clients, nothing, ROOT])) == [
        ROOT.der,
        any_purpose.der,
        servers.der,
    ]


def test_disallowed_roots_are_left_out() -> None:
    api = CryptoApi([ROOT, OTHER_ROOT])
    api.system_stores["Disallowed"] = [ROOT.der]
    assert roots(api) == [OTHER_ROOT.der]


@pytest.mark.parametrize(
    "malformed",
    [UNDECODABLE, b"", b"\x30", ROOT.der + b" ", ROOT.der[:-1], b"\x31" + ROOT.der[1:]],
    ids=["undecodable", "empty", "one octet", "too long", "cut off", "no sequence"],
)
def test_malformed_entries_are_left_out(malformed: bytes) -> None:
    api = CryptoApi([ROOT])
    api.system_stores["ROOT"] = [OTHER_ROOT.der, malformed, ROOT.der]
    assert roots(api) == [OTHER_ROOT.der, ROOT.der]


def test_an_empty_store_has_no_roots() -> None:
    assert roots(CryptoApi([])) == []


# --- loading ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("failure", [OSError("no such library"), AttributeError("WinDLL")])
def test_a_system_without_the_library_is_an_error_that_says_so(
    monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    def load() -> crypt32.Bindings:
        raise failure

    monkeypatch.setattr(crypt32, "load", load)
    with pytest.raises(ssl.SSLError, match=r"crypt32\.dll"):
        windows.WindowsVerifier().verify([LEAF.der], Options(None))


def test_one_verifier_serves_many_threads() -> None:
    import concurrent.futures

    api = CryptoApi([ROOT])
    verifier = windows.WindowsVerifier(api.bindings())
    good, bad = Options("good.test"), Options("bad.test")

    def accepted(options: Options) -> bool:
        try:
            verifier.verify([model.der for model in CHAIN], options)
        except ssl.SSLCertVerificationError:
            return False
        return True

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        verdicts = list(pool.map(accepted, [good, bad] * 64))
    assert verdicts == [True, False] * 64
    api.assert_clean()
