"""What a delegated context asks of its verifier, over real TLS on any OS: here the verifier only takes notes."""

from __future__ import annotations

import pathlib
import ssl
from collections.abc import Iterator, Sequence

import pytest
from harness import authority
from harness.loopback import Server, fetch

import truststore
from truststore import _verify
from truststore._errors import Reason, verification_error
from truststore._verify import Options, Revocation


class Notes:
    """A verifier that accepts, or refuses with `reason`, and keeps what it was asked."""

    name = "notes"

    def __init__(self) -> None:
        self.reason: Reason | None = None
        self.asked: list[tuple[list[bytes], Options]] = []

    def verify(self, chain: Sequence[bytes], options: Options) -> None:
        self.asked.append((list(chain), options))
        if self.reason is not None:
            raise verification_error(self.reason)

    def roots(self) -> list[bytes]:
        return []

    @property
    def options(self) -> Options:
        return self.asked[-1][1]


@pytest.fixture
def notes() -> Iterator[Notes]:
    verifier = Notes()
    previous = _verify.replace_verifier(verifier)
    yield verifier
    _verify.replace_verifier(previous)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def intermediate() -> authority.Issued:
    return authority.root().issue_ca()


@pytest.fixture(scope="module")
def server(intermediate: authority.Issued, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(intermediate.issue("localhost"), tmp_path_factory.mktemp("server"), with_root=False) as running:
        yield running


def client() -> ssl.SSLContext:
    return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def test_the_verifier_gets_the_peer_chain_and_the_name(
    notes: Notes, server: Server, intermediate: authority.Issued
) -> None:
    assert fetch(client(), server.port) == b"hello"
    [(chain, options)] = notes.asked
    assert len(chain) == 2
    assert chain[1] == intermediate.der
    assert options.server_name == "localhost"
    assert options.revocation is Revocation.NONE


def test_a_refusal_reaches_the_program_before_any_byte_reaches_the_peer(notes: Notes, server: Server) -> None:
    notes.reason = Reason.EXPIRED
    before = server.received
    with pytest.raises(ssl.SSLCertVerificationError) as caught:
        fetch(client(), server.port)
    assert caught.value.verify_code == 10
    assert server.received == before


def test_without_check_hostname_no_name_is_checked(notes: Notes, server: Server) -> None:
    context = client()
    context.check_hostname = False
    assert fetch(context, server.port) == b"hello"
    assert notes.options.server_name is None


def test_cert_none_asks_nobody(notes: Notes, server: Server) -> None:
    notes.reason = Reason.OTHER
    context = client()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    assert fetch(context, server.port) == b"hello"
    assert notes.asked == []


def test_cert_optional_on_a_client_is_cert_required(notes: Notes, server: Server) -> None:
    notes.reason = Reason.UNTRUSTED_ROOT
    context = client()
    context.verify_mode = ssl.CERT_OPTIONAL
    with pytest.raises(ssl.SSLCertVerificationError):
        fetch(context, server.port)
    assert len(notes.asked) == 1


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (0, Revocation.NONE),
        (ssl.VERIFY_CRL_CHECK_LEAF, Revocation.LEAF),
        (ssl.VERIFY_CRL_CHECK_CHAIN, Revocation.CHAIN),
        (ssl.VERIFY_X509_STRICT | ssl.VERIFY_CRL_CHECK_LEAF, Revocation.LEAF),
    ],
)
def test_verify_flags_say_what_is_checked_for_revocation(
    notes: Notes, server: Server, flags: int, expected: Revocation
) -> None:
    context = client()
    context.verify_flags |= flags
    assert fetch(context, server.port) == b"hello"
    assert notes.options.revocation is expected


def test_what_a_program_loads_besides_the_system_store_arrives_as_extra_anchors(
    notes: Notes, server: Server, tmp_path: pathlib.Path
) -> None:
    first, second = authority.root("first"), authority.root("second")
    file = tmp_path / "second.pem"
    file.write_text(second.pem, encoding="ascii")
    context = client()
    context.load_default_certs()
    context.load_verify_locations(cadata=first.pem)
    context.load_verify_locations(cafile=str(file))
    assert fetch(context, server.port) == b"hello"
    assert notes.options.extra_anchors == (first.der, second.der)
