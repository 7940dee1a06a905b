"""The certificate reader, against `cryptography` and against input that is not what it should be."""

from __future__ import annotations

import random
import ssl

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from harness.issuing import Issued, issue, root

from truststore import _explain, _oracle, _x509
from truststore._oracle import Assumptions


@pytest.fixture(scope="module")
def authority() -> Issued:
    return root("Root", organization="Example")


def test_everything_that_a_certificate_says(authority: Issued) -> None:
    names = ("a.example.com", "*.b.example.com", "192.0.2.7", "2001:db8::1")
    leaf = issue(
        authority, "leaf", *names, ca_issuers="http://ca.example.com/ca.crt", crl="http://ca.example.com/list.crl"
    )
    read = _x509.Certificate(leaf.der)
    expected = leaf.certificate
    assert (str(read.subject), str(read.issuer)) == ("CN=leaf", "CN=Root, O=Example")
    assert int(read.serial, 16) == expected.serial_number
    assert read.not_before.timestamp() == expected.not_valid_before_utc.timestamp()
    assert read.not_after.timestamp() == expected.not_valid_after_utc.timestamp()
    assert read.names() == list(names)
    assert (read.is_ca, read.ca_is_critical, read.path_length) == (False, True, None)
    assert (read.key_usage, read.purposes) == (["digitalSignature"], ["serverAuth"])
    assert (read.ca_issuers, read.crl_urls) == (["http://ca.example.com/ca.crt"], ["http://ca.example.com/list.crl"])
    assert (read.key.name, read.signature) == ("P-256", "ECDSA with SHA-256")
    assert read.malformed == []
    top = _x509.Certificate(authority.der)
    assert (top.self_issued, read.self_issued) == (True, False)
    assert read.names_issuer(top)
    assert not top.names_issuer(read)
    assert top.key_usage == ["keyCertSign", "cRLSign"]


@pytest.mark.parametrize(
    ("key", "name"),
    [
        (rsa.generate_private_key(65537, 2048), "RSA 2048"),
        (ec.generate_private_key(ec.SECP384R1()), "P-384"),
        (ec.generate_private_key(ec.SECP521R1()), "P-521"),
        (ed25519.Ed25519PrivateKey.generate(), "Ed25519"),
        (ed448.Ed448PrivateKey.generate(), "Ed448"),
    ],
    ids=["RSA 2048", "P-384", "P-521", "Ed25519", "Ed448"],
)
def test_openssl_judges_a_leaf_with_any_key(key: object, name: str, authority: Issued) -> None:
    leaf = issue(authority, "leaf", "a.example.com", key=key)  # type: ignore[arg-type]
    assert _x509.Certificate(leaf.der).key.name == name
    trusting, trusting_nobody = (Assumptions(_oracle.anchors(them)) for them in ([authority.der], []))
    assert _oracle.judge(leaf.chain, trusting.but(server_name="a.example.com")).accepted
    assert _oracle.judge(leaf.chain, trusting.but(server_name="b.example.com")).code == 62
    assert _oracle.judge(leaf.chain, trusting.but(server_name="192.0.2.1")).code == 64
    assert _oracle.judge(leaf.chain, trusting_nobody).code == 20


def test_what_the_oracle_cannot_judge_is_unknown(authority: Issued) -> None:
    for chain in ([], [b""], [b"\x30\x00"], [b"garbage" * 1000]):
        verdict = _oracle.judge(chain, Assumptions(_oracle.anchors([authority.der])))
        assert not verdict.accepted
    leaf = issue(authority, "leaf", "a.example.com")
    assert (
        _oracle.judge(leaf.chain, Assumptions(lambda context: context.load_verify_locations("/nowhere"))).code is None
    )


def test_a_chain_member_never_becomes_an_anchor(authority: Issued) -> None:
    """What the peer sends must not be trusted because it was sent, PARTIAL_CHAIN or not."""
    leaf = issue(authority, "leaf", "a.example.com")
    for flags in (0, _oracle.PARTIAL_CHAIN):
        verdict = _oracle.judge([leaf.der, authority.der], Assumptions(_oracle.anchors([]), flags=flags))
        assert verdict.code == 19


def test_anchors_that_openssl_cannot_read_are_left_out(authority: Issued) -> None:
    leaf = issue(authority, "leaf", "a.example.com")
    load = _oracle.anchors([b"\x30\x03\x02\x01\x05", authority.der, authority.der])
    assert _oracle.judge(leaf.chain, Assumptions(load)).accepted


def test_broken_input_is_refused_and_nothing_else_happens(authority: Issued) -> None:
    """Whatever a peer sends, reading it ends with a certificate or with `BadEncodingError`."""
    source = issue(authority, "leaf", "a.example.com", "192.0.2.7", ca_issuers="http://a/", crl="http://b/").der
    chance = random.Random(20261123)
    outcomes = set()
    for _ in range(4000):
        data = bytearray(source)
        for _ in range(chance.randint(1, 4)):
            kind, place = chance.randrange(3), chance.randrange(len(data))
            if kind == 0:
                data[place] = chance.randrange(256)
            elif kind == 1:
                del data[place : place + chance.randint(1, 8)]
            else:
                data[place:place] = chance.randbytes(chance.randint(1, 8))
        try:
            certificate = _x509.Certificate(bytes(data))
        except _x509.BadEncodingError:
            outcomes.add("refused")
        else:
            outcomes.add("read")
            assert _explain.printable(str(certificate.subject)).isprintable()
    assert outcomes == {"refused", "read"}


@pytest.mark.parametrize(
    "data",
    [
        "",
        "30",
        "3080",  # indefinite
        "308100",  # not minimal
        "30820001ff",
        "3085000000000100",
        "30030201",  # cut off
        "3003020105ff",  # something behind
        "1f8100",  # a tag of two bytes
        "3000",
        "0500",
    ],
)
def test_what_is_not_der_is_refused(data: str) -> None:
    with pytest.raises(_x509.BadEncodingError):
        _x509.Certificate(bytes.fromhex(data))


def test_what_strict_asks_for_is_what_openssl_asks_for() -> None:
    """Each defect alone: we name something exactly where OpenSSL objects."""
    if ssl.OPENSSL_VERSION_INFO < (3, 0):
        pytest.skip("OpenSSL 1.1.1 does not look at these extensions")
    for defect in ("critical", "key_usage", "ski", "aki"):
        for whose in ("root", "leaf"):
            top = root("Root", without=[defect] if whose == "root" else [])
            leaf = issue(top, "leaf", "a.example.com", without=[defect] if whose == "leaf" else [])
            strict = Assumptions(_oracle.anchors([top.der]), flags=_oracle.STRICT)
            refused = not _oracle.judge(leaf.chain, strict).accepted
            named = [lack for one in (leaf, top) for lack in _explain.strict_lacks(_x509.Certificate(one.der))]
            assert bool(named) is refused, (defect, whose, named)
            assert _oracle.judge(leaf.chain, strict.but(flags=0)).accepted
