"""The double itself: it must notice what macOS would punish, and behave as macOS where the verifier never goes."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes import byref, c_bool, c_char_p, c_int32, c_long, c_uint32, c_ulong, c_void_p
from typing import Any

import pytest

from macos import pki
from macos.framework_double import Double, Setting
from macos.world import NAME, World
from truststore._ffi import corefoundation as cf
from truststore._ffi import security as sec
from truststore._ffi.corefoundation import References, core_foundation
from truststore._ffi.security import security


def callbacks() -> int:
    return core_foundation().address_of("kCFTypeArrayCallBacks")


def one_violation(double: Double, *words: str) -> None:
    """Exactly one misuse was seen, and described with `words`."""
    (line,) = double.violations()
    for word in words:
        assert word in line, line


# ---- references ------------------------------------------------------------------------------------------------


def test_leak_is_reported_with_its_maker(misused_double: Double) -> None:
    core_foundation().CFDataCreate(None, b"abc", 3)
    (line,) = misused_double.live()
    assert "CFData" in line
    assert "from CFDataCreate" in line
    misused_double.reset()
    assert misused_double.live() == []


def test_over_release(misused_double: Double) -> None:
    data = core_foundation().CFDataCreate(None, b"abc", 3)
    core_foundation().CFRelease(data)
    assert misused_double.violations() == []
    core_foundation().CFRelease(data)
    one_violation(misused_double, "CFRelease", "released CFData", "CFDataCreate")


def test_use_after_free(misused_double: Double) -> None:
    data = core_foundation().CFDataCreate(None, b"abc", 3)
    core_foundation().CFRelease(data)
    assert core_foundation().CFDataGetLength(data) == 0
    one_violation(misused_double, "CFDataGetLength", "released CFData")


def test_arrays_retain_what_they_hold(misused_double: Double) -> None:
    framework = core_foundation()
    data = framework.CFDataCreate(None, b"abc", 3)
    array = framework.CFArrayCreate(None, (c_void_p * 1)(data), 1, callbacks())
    framework.CFRelease(data)
    assert framework.CFDataGetLength(framework.CFArrayGetValueAtIndex(array, 0)) == 3
    framework.CFRelease(array)
    assert misused_double.live() == []
    framework.CFDataGetLength(data)
    one_violation(misused_double, "released CFData")


def test_null_where_macos_dies(misused_double: Double) -> None:
    framework = core_foundation()
    for call in (
        lambda: framework.CFRelease(None),
        lambda: framework.CFArrayCreate(None, (c_void_p * 1)(None), 1, callbacks()),
        lambda: framework.CFErrorGetCode(None),
        lambda: framework.CFArrayGetCount(None),
        lambda: framework.CFStringGetLength(None),
        lambda: security().SecTrustSetAnchorCertificatesOnly(None, False),
    ):
        call()
        one_violation(misused_double, "NULL")
        misused_double.reset()


def test_wrong_type(misused_double: Double) -> None:
    with References() as references:
        assert security().SecPolicyCreateSSL(True, references.data(b"abc")) is None
    one_violation(misused_double, "SecPolicyCreateSSL", "is a CFData", "not a CFString")


def test_cut_pointer(misused_double: Double) -> None:
    with References() as references:
        core_foundation().CFDataGetLength(references.data(b"abc") & 0xFFFFFFFF)
    one_violation(misused_double, "no object")


def test_pointer_into_an_object(misused_double: Double) -> None:
    with References() as references:
        core_foundation().CFDataGetLength(references.data(b"abc") + 8)
    one_violation(misused_double, "no object")


def test_missing_result_type_cuts_the_pointer(misused_double: Double) -> None:
    raw = ctypes.CDLL(misused_double.libraries[cf.PATH]._name)
    raw.CFDataCreate.argtypes = [c_void_p, c_void_p, c_long]
    reference = raw.CFDataCreate(None, b"abc", 3)
    core_foundation().CFDataGetLength(c_void_p(reference))
    one_violation(misused_double, "no object")


def test_missing_bool_type_reads_rubbish(double: Double) -> None:
    raw = ctypes.CDLL(double.libraries[cf.PATH]._name)
    raw.CFEqual.argtypes = [c_void_p, c_void_p]
    with References() as references:
        left, right = references.string("a"), references.string("b")
        assert core_foundation().CFEqual(left, right) is False
        assert raw.CFEqual(left, right) != 0


def test_wrong_callbacks(misused_double: Double) -> None:
    assert core_foundation().CFArrayCreate(None, (c_void_p * 0)(), 0, callbacks() + 8) is None
    one_violation(misused_double, "callBacks")


def test_array_without_callbacks_is_noticed_by_the_trust_object(misused_double: Double) -> None:
    world = World(misused_double)
    with References() as references:
        certificate = certificate_of(references, world.root.der)
        array = references.own(
            core_foundation().CFArrayCreate(None, (c_void_p * 1)(certificate), 1, None), "CFArrayCreate"
        )
        policies = references.array([references.own(security().SecPolicyCreateSSL(True, None), "policy")])
        trust = c_void_p()
        security().SecTrustCreateWithCertificates(array, policies, byref(trust))
        references.own(trust.value, "trust")
    one_violation(misused_double, "without kCFTypeArrayCallBacks")


def test_index_out_of_range(misused_double: Double) -> None:
    with References() as references:
        assert core_foundation().CFArrayGetValueAtIndex(references.array([]), 0) is None
    one_violation(misused_double, "index 0 of 0")


@pytest.mark.parametrize("content", [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xe2\x82"])
def test_strings_must_be_utf8(double: Double, content: bytes) -> None:
    create = core_foundation().CFStringCreateWithBytes
    assert create(None, content, len(content), cf.kCFStringEncodingUTF8, False) is None


def test_string_length_counts_utf16_units(double: Double) -> None:
    with References() as references:
        assert core_foundation().CFStringGetLength(references.string("aü中\U0001f600")) == 5


# ---- what only other clients of the frameworks call -----------------------------------------------------------------


class Unbound:
    """Functions of CoreFoundation that the package does not bind; public truststore does, for the benchmarks."""

    def __init__(self, double: Double) -> None:
        library = double.libraries[cf.PATH]
        self.append = library.CFArrayAppendValue
        self.append.argtypes, self.append.restype = [c_void_p, c_void_p], None
        self.new_array = library.CFArrayCreateMutable
        self.new_array.argtypes, self.new_array.restype = [c_void_p, c_long, c_void_p], c_void_p
        self.new_string = library.CFStringCreateWithCString
        self.new_string.argtypes, self.new_string.restype = [c_void_p, c_char_p, c_uint32], c_void_p
        self.text = library.CFStringGetCStringPtr
        self.text.argtypes, self.text.restype = [c_void_p, c_uint32], c_char_p


def test_mutable_arrays_retain_what_they_hold(misused_double: Double) -> None:
    unbound, framework = Unbound(misused_double), core_foundation()
    array = unbound.new_array(None, 0, callbacks())
    assert framework.CFArrayGetCount(array) == 0
    data = [framework.CFDataCreate(None, content, len(content)) for content in (b"a", b"bc", b"def")]
    for each in data:
        unbound.append(array, each)
        framework.CFRelease(each)
    assert framework.CFArrayGetCount(array) == 3
    items = [framework.CFArrayGetValueAtIndex(array, index) for index in range(3)]
    assert [cf.bytes_of(each) for each in items] == [b"a", b"bc", b"def"]
    framework.CFRelease(array)
    assert misused_double.live() == []
    assert misused_double.violations() == []


def test_misused_mutable_arrays(misused_double: Double) -> None:
    unbound = Unbound(misused_double)
    with References() as references:
        array = references.own(unbound.new_array(None, 0, callbacks()), "CFArrayCreateMutable")
        unbound.append(array, None)
        one_violation(misused_double, "CFArrayAppendValue", "value is NULL")
    misused_double.reset()
    with References() as references:
        unbound.append(references.array([]), references.data(b"abc"))
    one_violation(misused_double, "immutable")


@pytest.mark.parametrize(("content", "readable"), [(b"abc", True), (b"", True), ("ü".encode(), False)])
def test_c_strings(double: Double, content: bytes, readable: bool) -> None:
    unbound = Unbound(double)
    with References() as references:
        string = references.own(unbound.new_string(None, content, cf.kCFStringEncodingUTF8), "a string")
        assert cf.text_of(string) == content.decode()
        assert unbound.text(string, cf.kCFStringEncodingUTF8) == (content if readable else None)
    assert unbound.new_string(None, b"\xff", cf.kCFStringEncodingUTF8) is None


# ---- evaluation, asked directly ------------------------------------------------------------------------------------


def certificate_of(references: References, der: bytes) -> int:
    created = security().SecCertificateCreateWithData(None, references.data(der))
    return references.own(created, "SecCertificateCreateWithData")


class Client:
    """A trust object with all that macOS can be told about one, for rules that the verifier never uses."""

    def __init__(
        self,
        double: Double,
        references: References,
        chain: Sequence[bytes],
        name: str | None = NAME,
        server: bool = True,
    ) -> None:
        self._references = references
        self._library = double.libraries[sec.PATH]
        certificates = references.array([certificate_of(references, der) for der in chain])
        host = None if name is None else references.string(name)
        self.policies = [references.own(security().SecPolicyCreateSSL(server, host), "SecPolicyCreateSSL")]
        trust = c_void_p()
        array = references.array(self.policies)
        status = security().SecTrustCreateWithCertificates(certificates, array, byref(trust))
        assert status == 0
        self.trust = references.own(trust.value, "SecTrustCreateWithCertificates")

    def call(self, name: str, argument: Any, kind: Any = c_void_p) -> int:
        function = self._library[name]
        function.argtypes, function.restype = [c_void_p, kind], c_int32
        return int(function(self.trust, argument))

    def anchors(self, *ders: bytes) -> None:
        array = self._references.array([certificate_of(self._references, der) for der in ders])
        assert self.call("SecTrustSetAnchorCertificates", array) == 0

    def code(self) -> int:
        """0 for trusted, else the error's code."""
        error = c_void_p()
        if security().SecTrustEvaluateWithError(self.trust, byref(error)):
            assert error.value is None
            return 0
        self._references.own(error.value, "SecTrustEvaluateWithError")
        return int(core_foundation().CFErrorGetCode(error))


def test_anchors_alone_until_told_otherwise(world: World) -> None:
    with References() as references:
        client = Client(world.double, references, [world.leaf().der, world.intermediate.der])
        assert client.code() == 0
        client.anchors(world.private_root.der)
        assert client.code() == -25318
        assert client.call("SecTrustSetAnchorCertificatesOnly", False, c_bool) == 0
        assert client.code() == 0
        client.anchors(world.private_root.der)
        assert client.code() == -25318
        assert client.call("SecTrustSetAnchorCertificates", None) == 0
        assert client.code() == 0


def test_result_is_kept_until_a_setter_is_called(world: World) -> None:
    with References() as references:
        client = Client(world.double, references, [world.leaf().der, world.intermediate.der])
        world.double.trace()
        client.code()
        client.code()
        assert sum(line.startswith("evaluate") for line in world.double.traces()) == 1
        client.call("SecTrustSetVerifyDate", references.date((pki.NOW + pki.days(365)).timestamp()))
        assert client.code() == -67818
        assert sum(line.startswith("evaluate") for line in world.double.traces()) == 2


def test_stapled_answers_count_without_a_revocation_policy(world: World) -> None:
    leaf = world.leaf()
    with References() as references:
        client = Client(world.double, references, [leaf.der, world.intermediate.der])
        client.call("SecTrustSetOCSPResponse", references.data(pki.ocsp_response(leaf, revoked=True)))
        assert client.code() == -67820
        good = references.array([references.data(pki.ocsp_response(leaf, revoked=False))])
        client.call("SecTrustSetOCSPResponse", good)
        assert client.code() == 0
        assert world.double.network_attempts() == 0


def test_stale_and_foreign_answers_do_not_count(world: World) -> None:
    leaf = world.leaf()
    stale = pki.ocsp_response(leaf, revoked=False, life=pki.days(0.5))
    impostor = pki.ocsp_response(world.private_leaf(), revoked=True)
    for response in (stale, impostor):
        with References() as references:
            client = Client(world.double, references, [leaf.der, world.intermediate.der])
            revocation = references.own(security().SecPolicyCreateRevocation(8 | 3), "SecPolicyCreateRevocation")
            client.call("SecTrustSetPolicies", references.array([*client.policies, revocation]))
            client.call("SecTrustSetOCSPResponse", references.data(response))
            assert client.code() == -67635


def test_network_may_be_forbidden_and_that_writes_into_the_policies(world: World) -> None:
    leaf = world.leaf()
    world.double.answer_ocsp(pki.ocsp_response(leaf, revoked=True))
    with References() as references:
        client = Client(world.double, references, [leaf.der, world.intermediate.der])
        revocation = references.own(security().SecPolicyCreateRevocation(3), "SecPolicyCreateRevocation")
        policies = references.array([*client.policies, revocation])
        client.call("SecTrustSetPolicies", policies)
        client.call("SecTrustSetNetworkFetchAllowed", False, c_bool)
        assert client.code() == 0
        assert world.double.network_attempts() == 0
        other = Client(world.double, references, [leaf.der, world.intermediate.der])
        other.call("SecTrustSetPolicies", policies)
        assert other.code() == 0
        other.call("SecTrustSetNetworkFetchAllowed", True, c_bool)
        assert other.code() == 0, "this setter keeps an earlier result"


@pytest.mark.parametrize("flags", [0, 32, 64])
def test_revocation_policy_needs_known_flags(double: Double, flags: int) -> None:
    assert security().SecPolicyCreateRevocation(c_ulong(flags)) is None


def test_client_policy_has_fewer_rules(world: World) -> None:
    leaf = world.leaf(usages=[pki.CLIENT_AUTH], private_key=pki.key("p224"), life=pki.days(2000), sha1=True)
    for server, code in ((True, -67735), (False, 0)):
        with References() as references:
            issuer = issue_long_lived(world)
            chain = [
                pki.issue(NAME, issuer, names=[NAME], usages=[pki.CLIENT_AUTH], private_key=leaf.key).der,
                issuer.der,
            ]
            assert Client(world.double, references, chain, server=server).code() == code


def issue_long_lived(world: World) -> pki.Certified:
    return pki.issue("Long", world.root, authority=True, life=pki.days(3000), private_key=pki.key("p256", 8))


def test_trust_objects_need_certificates_and_policies(double: Double) -> None:
    trust = c_void_p()
    create = security().SecTrustCreateWithCertificates
    with References() as references:
        empty = references.array([])
        policies = references.array([references.own(security().SecPolicyCreateSSL(True, None), "policy")])
        assert create(empty, policies, byref(trust)) == -50
        assert trust.value is None
        assert create(empty, empty, byref(trust)) == -50
    assert security().SecCertificateCreateWithData(None, None) is None


@pytest.mark.parametrize(("version", "parsed"), [(0, False), (1, True), (2, True), (3, False)])
def test_versions_that_macos_parses(world: World, version: int, parsed: bool) -> None:
    with References() as references:
        content = references.data(pki.with_version(world.leaf(), version))
        certificate = security().SecCertificateCreateWithData(None, content)
        assert (certificate is not None) == parsed
        if certificate:
            references.own(certificate, "SecCertificateCreateWithData")


def test_trailing_bytes_are_ignored(world: World) -> None:
    with References() as references:
        chain = [world.leaf().der + b"more", world.intermediate.der]
        assert Client(world.double, references, chain).code() == 0


def test_administrators_roots_lift_the_usage_rule_but_not_the_one_about_life(world: World) -> None:
    world.double.decide(1, Setting.TRUST_ALWAYS, world.private_root.der)
    for how, code in (({"usages": []}, 0), ({"life": pki.days(826)}, -67901)):
        with References() as references:
            chain = [world.private_leaf(**how).der, world.private_intermediate.der]
            assert Client(world.double, references, chain).code() == code
    alone = world.private_leaf(life=pki.days(826), usages=[], private_key=pki.key("p224"))
    world.double.decide(1, Setting.TRUST_ALWAYS, alone.der)
    with References() as references:
        assert Client(world.double, references, [alone.der]).code() == 0


def test_clock_can_be_set(world: World) -> None:
    world.double.set_time(int((pki.NOW + pki.days(365)).timestamp()))
    with References() as references:
        assert Client(world.double, references, [world.leaf().der, world.intermediate.der]).code() == -67818


def test_issuer_of_the_same_name_with_another_key_is_passed_over(world: World) -> None:
    twin = pki.issue("Intermediate", world.root, authority=True, without_key_ids=True)
    leaf = world.leaf(without_key_ids=True)
    with References() as references:
        chain = [leaf.der, twin.der, world.intermediate.der]
        assert Client(world.double, references, chain).code() == 0


def test_calls_are_counted_and_fail_on_demand(double: Double) -> None:
    double.fail("CFDataCreate", 2)
    create = core_foundation().CFDataCreate
    results = [create(None, b"", 0) for _ in range(3)]
    assert [result is None for result in results] == [False, True, False]
    assert double.calls()["CFDataCreate"] == 3
    for result in results:
        if result is not None:
            core_foundation().CFRelease(result)
