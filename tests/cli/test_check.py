"""`check` against servers that show one failure each: exit code, reason, JSON, and the text that a person reads."""

from __future__ import annotations

import datetime
import os
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from harness import peers
from harness.command_line import Command, Outcome, system_with
from harness.issuing import DAY, Issued, intermediate, issue, revocation_list, root, server_context
from harness.oracle import OracleVerifier

from truststore import _environment, _errors, _explain, _oracle, _verify
from truststore._commands import check, probe
from truststore._commands.report import Report
from truststore._errors import Reason

LIMIT = 10.0


class Server:
    """Checks servers of certificates with the command, both as text and as JSON."""

    def __init__(self, command: Command, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._command = command
        self._directory = directory
        genuine, reports = check.check, {}

        def once(target: probe.Target, seconds: float, crl: str | None = None) -> Report:
            """The same report for the text and for the JSON: finding everything out takes a third of a second."""
            if str(target) not in reports:
                reports[str(target)] = genuine(target, seconds, crl)
            return reports[str(target)]

        self._forget = reports.clear
        monkeypatch.setattr(check, "check", once)

    def check(self, leaf: Issued, *options: object, chain: list[bytes] | None = None, host: str = "localhost") -> Seen:
        self._forget()
        context = server_context(leaf, self._directory, chain)
        with peers.peer(peers.speaking_tls(context)) as port:
            text = self._command("check", f"{host}:{port}", *options)
            found = self._command("check", f"{host}:{port}", "--json", *options)
        assert text.code == found.code
        return Seen(text, found)


class Seen:
    def __init__(self, text: Outcome, found: Outcome) -> None:
        self.code = text.code
        self.text = text.out
        self.words = " ".join(text.out.split())  # whatever line they stand in
        self.json = found.json

    def opinion(self, who: str) -> dict[str, Any]:
        return next(opinion for opinion in self.json["opinions"] if opinion["who"] == who)

    def cause(self, reason: str) -> dict[str, Any]:
        return next(cause for cause in self.json["causes"] if cause["reason"] == reason)


@pytest.fixture
def server(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    return Server(command, tmp_path, monkeypatch)


def refused(seen: Seen, reason: str, verify_code: int) -> None:
    """What holds for every refusal."""
    assert seen.code == 1
    assert seen.json["trusted"] is False
    assert (seen.json["reason"], seen.json["verify_code"]) == (reason, verify_code)
    assert seen.json["causes"][0]["reason"] == reason
    assert seen.json["hint"]
    assert seen.json["documentation"].endswith(f"#{reason}")
    first, *_ = seen.text.splitlines()
    assert first.endswith("NOT TRUSTED")
    for part in ("error", "cause", "hint", seen.json["documentation"], _explain.PAGE_TITLE, "who would trust it"):
        assert part in seen.words


# ---- verdicts -------------------------------------------------------------------------------------------------------


def test_a_server_of_the_system_store_is_trusted(system: str, server: Server, company_ca: Issued) -> None:
    seen = server.check(issue(company_ca, "localhost", "localhost"))
    assert seen.code == 0
    assert seen.json["trusted"] is True
    assert seen.json["reason"] is None
    assert seen.text.splitlines()[0].endswith("trusted")
    assert [link["subject"] for link in seen.json["chain"]] == [
        "CN=localhost",
        "CN=Company CA 1, O=Example Company",
        "CN=Company Root, O=Example Company",
    ]
    assert [link["position"] for link in seen.json["chain"]] == [0, 1, None]
    assert "not sent: a root of the store that decides" in seen.text
    answers = {opinion["who"]: opinion["trusted"] for opinion in seen.json["opinions"]}
    assert answers == {"this-python": True, "stock-python": False, "certifi": False, "system-store": True}
    assert "the root CN=Company Root, O=Example Company is one of its roots (1)" in seen.opinion("system-store")["why"]
    assert "is none of its roots" in seen.opinion("certifi")["why"]


def test_an_unknown_issuer(system: str, server: Server) -> None:
    other = intermediate(root("Other Root"), "Other CA")
    seen = server.check(issue(other, "localhost", "localhost"))
    refused(seen, "unknown-issuer", 20)
    assert any(
        "'CN=Other Root', which issued 'CN=Other CA', was not sent" in fact
        for fact in seen.cause("unknown-issuer")["facts"]
    )
    assert seen.json["missing_issuer"] == "CN=Other Root"
    assert "OpenSSL accepts the chain if" in seen.cause("unknown-issuer")["proof"]
    assert "add it to the system store" in seen.words


def test_a_root_that_is_sent_but_not_trusted(system: str, server: Server) -> None:
    other = root("Other Root")
    leaf = issue(other, "localhost", "localhost")
    seen = server.check(leaf, chain=[leaf.der, other.der])
    refused(seen, "untrusted-root", 19)
    assert any(fact.startswith("the chain ends at 'CN=Other Root'") for fact in seen.cause("untrusted-root")["facts"])


def test_a_missing_intermediate_and_where_it_is_to_be_had(system: str, server: Server, company_ca: Issued) -> None:
    url = "http://ca.example.com/company-ca-1.crt"
    leaf = issue(company_ca, "localhost", "localhost", ca_issuers=url)
    seen = server.check(leaf, chain=[leaf.der])
    refused(seen, "missing-intermediate", 20)
    assert f"the certificate says that its issuer is to be had at {url}" in seen.cause("missing-intermediate")["facts"]
    assert url in seen.text
    assert "the server must send its whole chain" in seen.json["hint"]


def test_a_chain_of_somebody_else_is_a_missing_intermediate(system: str, server: Server, company_ca: Issued) -> None:
    stranger = intermediate(root("Other Root"), "Other CA")
    leaf = issue(company_ca, "localhost", "localhost")
    seen = server.check(leaf, chain=[leaf.der, stranger.der])
    refused(seen, "missing-intermediate", 20)
    assert "what else it sent did not issue this certificate" in seen.cause("missing-intermediate")["facts"]
    assert [unused["subject"] for unused in seen.json["unused"]] == ["CN=Other CA"]


def test_an_expired_certificate(system: str, server: Server, company_ca: Issued) -> None:
    leaf = issue(company_ca, "localhost", "localhost", last=-3 * DAY - datetime.timedelta(hours=1))
    seen = server.check(leaf)
    refused(seen, "expired", 10)
    facts = seen.cause("expired")["facts"]
    assert facts[0].startswith("CN=localhost expired 3 days ago, on ")
    assert facts[1].startswith("this computer's clock says ")
    assert seen.cause("expired")["proof"] == "OpenSSL accepts the chain if validity is not looked at"


def test_an_expired_intermediate_is_named(system: str, server: Server, company_root: Issued) -> None:
    stale = intermediate(company_root, "Stale CA", last=-2 * DAY)
    seen = server.check(issue(stale, "localhost", "localhost"))
    refused(seen, "expired", 10)
    assert seen.cause("expired")["facts"][0].startswith("CN=Stale CA expired 2 days ago")


def test_a_certificate_that_is_not_valid_yet(system: str, server: Server, company_ca: Issued) -> None:
    leaf = issue(company_ca, "localhost", "localhost", first=datetime.timedelta(hours=5, minutes=1))
    seen = server.check(leaf)
    refused(seen, "not-yet-valid", 9)
    assert seen.cause("not-yet-valid")["facts"][0].startswith("CN=localhost becomes valid in 5 hours")
    assert "clock" in seen.json["hint"]


def test_a_wrong_name(system: str, server: Server, company_ca: Issued) -> None:
    seen = server.check(issue(company_ca, "a.example.com", "a.example.com", "b.example.com"))
    refused(seen, "wrong-name", 62)
    assert seen.cause("wrong-name")["facts"] == [
        "the certificate is for a.example.com, b.example.com, not for localhost"
    ]
    assert seen.cause("wrong-name")["proof"] == "OpenSSL accepts the chain if the name is not checked"


def test_the_name_to_check_can_be_given(system: str, server: Server, company_ca: Issued) -> None:
    leaf = issue(company_ca, "a.example.com", "*.example.com")
    assert server.check(leaf, "--servername", "a.example.com").code == 0
    seen = server.check(leaf, "--servername", "x.a.example.com")
    refused(seen, "wrong-name", 62)
    assert "the star in *.example.com stands for exactly one label" in seen.cause("wrong-name")["facts"]
    assert "as x.a.example.com" in seen.text.splitlines()[0]


def test_an_address_without_a_name_of_its_own(system: str, server: Server, company_ca: Issued) -> None:
    seen = server.check(issue(company_ca, "localhost", "localhost"), host="127.0.0.1")
    refused(seen, "wrong-ip-address", 64)
    facts = seen.cause("wrong-ip-address")["facts"]
    assert facts == ["the certificate is for localhost, not for 127.0.0.1", "it names no IP address"]
    assert "as an address and not as a DNS name" in seen.json["hint"]


def test_a_certificate_without_alternative_names(system: str, server: Server, company_ca: Issued) -> None:
    seen = server.check(issue(company_ca, "example.com"))
    refused(seen, "wrong-name", 62)
    assert seen.cause("wrong-name")["facts"] == [
        "the certificate is for no host name at all, not for localhost",
        "it has no subjectAltName; its common name is example.com, which many programs do not look at",
    ]


def test_a_self_signed_certificate(system: str, server: Server) -> None:
    seen = server.check(issue(None, "localhost", "localhost"))
    refused(seen, "self-signed", 18)
    assert "CN=localhost names itself as its issuer" in seen.cause("self-signed")["facts"]


def test_a_certificate_for_another_purpose(system: str, server: Server, company_ca: Issued) -> None:
    leaf = issue(company_ca, "localhost", "localhost", purpose=ExtendedKeyUsageOID.CLIENT_AUTH)
    seen = server.check(leaf)
    refused(seen, "wrong-purpose", 26)
    assert "CN=localhost is for clientAuth, not for serverAuth" in seen.cause("wrong-purpose")["facts"]


def test_an_issuer_that_is_no_ca(system: str, server: Server, company_ca: Issued) -> None:
    customer = issue(company_ca, "Customer", "customer.example.com")
    seen = server.check(issue(customer, "localhost", "localhost"))
    assert seen.code == 1
    assert seen.json["reason"] == "not-a-ca"
    assert any(fact.startswith("CN=Customer is not marked as a CA") for fact in seen.cause("not-a-ca")["facts"])


def test_a_weak_key(system: str, server: Server, company_ca: Issued) -> None:
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    seen = server.check(issue(company_ca, "localhost", "localhost", key=weak))
    refused(seen, "weak-key", 66)
    assert "the key of CN=localhost is RSA 1024" in seen.cause("weak-key")["facts"]
    assert seen.cause("weak-key")["proof"] == "OpenSSL accepts the chain if OpenSSL's security level is 0"


def test_everything_that_is_wrong_is_found_at_once(system: str, server: Server) -> None:
    leaf = issue(intermediate(root("Other Root"), "Other CA"), "a", "a.example.com", last=-DAY)
    seen = server.check(leaf)
    assert seen.code == 1
    assert [cause["reason"] for cause in seen.json["causes"]] == ["unknown-issuer", "wrong-name", "expired"]
    proofs = [cause["proof"] for cause in seen.json["causes"]]
    assert proofs[0].startswith("if the last certificate of the chain is taken for a trusted one, OpenSSL's next")
    assert proofs[2].startswith("OpenSSL accepts the chain if")
    assert seen.text.count("\n  also") == 2


def test_a_revoked_certificate_by_a_list(system: str, server: Server, company_ca: Issued, tmp_path: Path) -> None:
    leaf = issue(company_ca, "localhost", "localhost", crl="http://ca.example.com/list.crl")
    good, bad = tmp_path / "good.pem", tmp_path / "bad.pem"
    good.write_bytes(revocation_list(company_ca))
    bad.write_bytes(revocation_list(company_ca, leaf))
    assert server.check(leaf, "--crl", good).code == 0
    seen = server.check(leaf, "--crl", bad)
    refused(seen, "revoked", 23)
    assert "revocation list: http://ca.example.com/list.crl" in seen.cause("revoked")["facts"]
    assert seen.cause("revoked")["proof"] == "OpenSSL accepts the chain if revocation is not checked"


@pytest.mark.parametrize("reason", list(Reason), ids=lambda reason: reason.value)
def test_every_reason_of_a_system_verifier_is_told(
    reason: Reason, native: None, server: Server, company_root: Issued, company_ca: Issued
) -> None:
    """A verifier refuses what OpenSSL would accept: revocation, rules of its own."""

    class Refusing(OracleVerifier):
        def verify(self, chain: Any, options: Any) -> None:
            raise _errors.verification_error(reason, "the system's own words", -67820)

    previous = _verify.replace_verifier(Refusing([company_root.der]))
    try:
        seen = server.check(issue(company_ca, "localhost", "localhost"))
    finally:
        _verify.replace_verifier(previous)  # type: ignore[arg-type]
    refused(seen, reason.value, reason.verify_code)
    assert seen.json["native_code"] == -67820
    assert "the system's own words" in seen.json["error"]
    assert seen.cause(reason.value)["proof"].startswith("OpenSSL accepts this chain with the same roots")
    assert seen.json["decided_by"] == "OpenSSL oracle"


def test_a_verifier_that_fails_gives_no_verdict(native: None, server: Server, company_ca: Issued) -> None:
    class Failing(OracleVerifier):
        def verify(self, chain: Any, options: Any) -> None:
            raise _errors.machinery_error("SecTrustCreate", "out of memory", -108)

    previous = _verify.replace_verifier(Failing())
    try:
        seen = server.check(issue(company_ca, "localhost", "localhost"))
    finally:
        _verify.replace_verifier(previous)  # type: ignore[arg-type]
    assert seen.code == 3
    assert seen.json["trusted"] is None
    assert seen.json["reason"] == "no-verdict"
    assert "SecTrustCreate failed" in seen.json["error"]


STRICT_DEFECTS = {
    "critical": (89, "the critical mark on its basicConstraints"),
    "key_usage": (92, "a keyUsage"),
    "ski": (86, "a subjectKeyIdentifier"),
}


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs ask for VERIFY_X509_STRICT, as they do from Python 3.13 on, and the administrator wants it."""
    genuine = ssl.create_default_context

    def strict_context(*args: Any, **kwargs: Any) -> ssl.SSLContext:
        context = genuine(*args, **kwargs)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    monkeypatch.setattr(ssl, "create_default_context", strict_context)
    monkeypatch.setattr(_oracle, "DEFAULT_FLAGS", _oracle.DEFAULT_FLAGS | _oracle.STRICT)
    monkeypatch.setattr(_environment.settings, "strict", True)


@pytest.mark.parametrize("defect", STRICT_DEFECTS)
def test_the_strict_flag_names_the_certificate_and_what_it_lacks(
    defect: str, strict: None, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if ssl.OPENSSL_VERSION_INFO < (3, 0):
        pytest.skip("OpenSSL 1.1.1 does not look at these extensions")
    lax = root("Lax Root", without=[defect])
    for _ in system_with([lax], "native", tmp_path, monkeypatch):
        code, lack = STRICT_DEFECTS[defect]
        seen = server.check(issue(lax, "localhost", "localhost"))
        refused(seen, "strict", code)
        assert seen.cause("strict")["facts"] == [f"CN=Lax Root lacks {lack}"]
        assert seen.cause("strict")["proof"] == "OpenSSL accepts the chain if VERIFY_X509_STRICT is not set"
        assert seen.opinion("system-store")["trusted"] is True
        assert seen.opinion("this-python")["trusted"] is False


@pytest.mark.parametrize("second_look", [True, False], ids=["seen", "not seen"])
def test_a_python_that_does_not_show_the_chain_of_a_refused_peer(
    second_look: bool, native: None, server: Server, company_ca: Issued, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenSSL 1.1.1 and PyPy: the certificates are looked at on a second connection, without losing the verdict."""
    genuine = _explain.chain_of

    def chain_of(connection: Any) -> list[bytes]:
        verified = connection.context.verify_mode != ssl.CERT_NONE
        return [] if verified or not second_look else genuine(connection)

    monkeypatch.setattr(_explain, "chain_of", chain_of)
    seen = server.check(issue(company_ca, "localhost", "localhost", last=-DAY))
    refused(seen, "expired", 10)
    assert len(seen.json["chain"]) == (3 if second_look else 0)


def test_a_fault_of_ours_is_no_verdict(native: None, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr(check, "check", broken)
    outcome = command("check", "example.com")
    assert (outcome.code, outcome.out) == (3, "")
    assert "ZeroDivisionError: a fault" in outcome.err


# ---- the environment ------------------------------------------------------------------------------------------------


def test_a_variable_that_points_nowhere(
    system: str, server: Server, company_ca: Issued, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    nowhere, empty = tmp_path / "nowhere.pem", tmp_path / "empty"
    empty.mkdir()
    monkeypatch.setenv("SSL_CERT_FILE", str(nowhere))
    monkeypatch.setenv("SSL_CERT_DIR", str(empty))
    seen = server.check(issue(company_ca, "localhost", "localhost"))
    refused(seen, "unknown-issuer", 20)
    facts = seen.cause("trust-variable")["facts"]
    assert f"{nowhere}: no such file" in facts
    assert "the system store accepts this chain" in facts
    assert "unset the variable" in seen.json["hint"]
    assert seen.opinion("system-store")["trusted"] is True


def test_a_system_without_a_store(
    server: Server, company_ca: Issued, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from truststore._backends import openssl

    for _ in system_with([], "native", tmp_path, monkeypatch):
        monkeypatch.setattr(openssl, "find_store", lambda *_: openssl.Store("no system trust store was found"))
        monkeypatch.setattr(openssl, "_system_store", None)
        seen = server.check(issue(company_ca, "localhost", "localhost"))
    refused(seen, "unknown-issuer", 20)
    assert seen.cause("no-store")["facts"] == ["no system trust store was found"]
    assert "ca-certificates" in seen.json["hint"]


def test_without_the_hook_stock_python_decides(server: Server, company_ca: Issued, tmp_path: Path) -> None:
    from harness.injection import injection

    with injection():
        seen = server.check(issue(company_ca, "localhost", "localhost"))
    assert seen.code == 1
    assert seen.json["decided_by"].startswith("stock Python: OpenSSL with ")


# ---- inspection -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def zscaler() -> Issued:
    return root("Zscaler Root CA", organization="Zscaler Inc.")


def test_an_inspection_that_the_system_trusts(
    server: Server, zscaler: Issued, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaf = issue(intermediate(zscaler, "Zscaler Intermediate", organization="Zscaler Inc."), "x", "www.example.com")
    for _ in system_with([zscaler], "native", tmp_path, monkeypatch):
        seen = server.check(leaf, "--servername", "www.example.com")
    assert seen.code == 0
    assert seen.json["inspection"]["product"] == "Zscaler"
    assert seen.json["inspection"]["root_in_system_store"] is True
    assert "this connection is intercepted by: CN=Zscaler Intermediate, O=Zscaler Inc." in seen.text
    assert "its root is in the system store" in seen.text


def test_an_inspection_that_the_system_does_not_trust(system: str, server: Server, zscaler: Issued) -> None:
    leaf = issue(zscaler, "x", "localhost")
    seen = server.check(leaf, chain=[leaf.der, zscaler.der])
    refused(seen, "untrusted-root", 19)
    assert seen.json["inspection"]["product"] == "Zscaler"
    assert seen.json["inspection"]["root_in_system_store"] is False
    assert "its root is NOT in the system store" in seen.text
    assert "its root belongs into the system store" in seen.json["hint"]


def test_a_private_root_of_a_public_name(system: str, server: Server, company_ca: Issued) -> None:
    leaf = issue(company_ca, "x", "www.example.com")
    seen = server.check(leaf, "--servername", "www.example.com")
    assert seen.json["inspection"] is not None
    assert seen.json["inspection"]["product"] is None
    assert "its root is in the system store" in seen.words
    assert "its root is not in certifi" in seen.words
    assert "intercepted" not in seen.text
    assert server.check(issue(company_ca, "x", "localhost")).json["inspection"] is None


def test_an_extra_certificate_is_not_taken_for_the_systems(
    system: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = root("Extra Root")
    file = tmp_path / "extra.pem"
    file.write_text(extra.pem)
    monkeypatch.setattr(_environment.settings, "extra_ca_certs", (str(file),))
    seen = server.check(issue(extra, "x", "www.example.com"), "--servername", "www.example.com")
    assert seen.code == 0
    assert seen.opinion("this-python")["roots"] == 2
    assert (seen.opinion("system-store")["trusted"], seen.opinion("system-store")["roots"]) == (False, 1)
    assert "its root is NOT in the system store, but in TRUSTSTORE_EXTRA_CA_CERTS" in seen.words


def test_a_clock_that_is_proven_slow(native: None, server: Server, company_ca: Issued, tmp_path: Path) -> None:
    """The store was written in what the clock takes for the future."""
    future = time.time() + 86400 * 2
    os.utime(tmp_path / "system.pem", (future, future))
    seen = server.check(issue(company_ca, "localhost", "localhost", first=DAY))
    assert seen.cause("not-yet-valid")["facts"][2].startswith(
        f"the clock is slow: {tmp_path / 'system.pem'} was written"
    )
    os.utime(tmp_path / "system.pem")
    seen = server.check(issue(company_ca, "localhost", "localhost", first=DAY))
    assert len(seen.cause("not-yet-valid")["facts"]) == 2


# ---- what is not TLS ------------------------------------------------------------------------------------------------


def no_verdict(outcome: Outcome, topic: str) -> dict[str, Any]:
    found = outcome.json
    assert outcome.code == 3
    assert found["trusted"] is None
    assert found["reason"] == topic
    assert found["hint"]
    assert found["documentation"].endswith(f"#{topic}")
    return found


def check_port(command: Command, answer: peers.Answer, *options: object) -> Outcome:
    with peers.peer(answer) as port:
        text = command("check", f"localhost:{port}", *options)
        assert text.code == 3
        assert "no verdict" in text.out.splitlines()[0]
        return command("check", f"localhost:{port}", "--json", *options)


def test_plain_http_on_a_tls_port(system: str, command: Command) -> None:
    found = no_verdict(check_port(command, peers.saying(b"HTTP/1.1 400 Bad Request\r\n\r\n")), "plain-http")
    assert "HTTP/1.1 400 Bad Request" in found["error"]
    no_verdict(check_port(command, peers.saying(b"<!DOCTYPE HTML><html>")), "plain-http")


def test_a_greeting_in_plain_text_asks_for_starttls(system: str, command: Command) -> None:
    found = no_verdict(check_port(command, peers.greeting(b"220 mail.example.com ESMTP\r\n")), "starttls-needed")
    assert "--starttls smtp" in found["error"]


@pytest.mark.parametrize(
    ("answer", "topic"),
    [
        (peers.silent, "timeout"),
        (peers.hanging_up, "closed"),
        (peers.saying(bytes(range(200, 256)) * 100), "not-tls"),
        (peers.dripping(peers.tls_record(0x16, bytes(16000)), 0.05), "timeout"),
        (peers.saying(peers.tls_record(0x15, b"\x02\x28")), "tls-alert"),
        (peers.saying(peers.tls_record(0x16, b"\x02\xff\xff\xff" + bytes(500))), "too-much"),
        (peers.saying(peers.tls_record(0x16, b"\x02\x00\x00\x40" + bytes(64))), "tls-failure"),
    ],
    ids=["silent", "hangs up", "garbage", "drips", "alert", "a message of 16 MB", "a broken message"],
)
def test_a_bad_peer_costs_no_more_than_the_time_limit(
    system: str, command: Command, answer: peers.Answer, topic: str
) -> None:
    with peers.peer(answer) as port:
        begin = time.monotonic()
        outcome = command("check", f"localhost:{port}", "--json", "--timeout", "2")
        took = time.monotonic() - begin
    no_verdict(outcome, topic)
    assert took < 2.5


def test_a_megabyte_of_certificates(system: str, command: Command, company_ca: Issued) -> None:
    leaf = issue(company_ca, "localhost", "localhost")
    flood = peers.certificate_flood([leaf.der] * (1_000_000 // len(leaf.der)))
    assert len(flood) > 990_000
    with peers.peer(peers.saying(flood)) as port:
        begin = time.monotonic()
        outcome = command("check", f"localhost:{port}", "--json", "--timeout", "5")
        took = time.monotonic() - begin
    no_verdict(outcome, "too-much")
    assert took < 5


def test_an_endless_flood_of_records_ends(system: str, command: Command) -> None:
    """Records that a handshake may contain any number of: OpenSSL alone would read them for ever, or until its own
    limit."""
    with peers.peer(peers.saying(peers.tls_record(0x16, b"\x00\x00\x00\x00" * 4000) * 1000)) as port:
        outcome = command("check", f"localhost:{port}", "--json", "--timeout", "5")
    assert outcome.code == 3
    assert outcome.json["reason"] in ("too-much", "tls-failure", "not-tls")


def test_nobody_listens(system: str, command: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    no_verdict(command("check", f"127.0.0.1:{port}", "--json"), "unreachable")


def test_a_name_that_does_not_exist(system: str, command: Command) -> None:
    no_verdict(command("check", "does-not-exist.invalid", "--json"), "name-resolution")
    no_verdict(command("check", "a" * 64 + ".example.com", "--json"), "name-resolution")


def test_a_resolver_that_hangs(system: str, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    released = threading.Event()

    def hang(*args: object, **kwargs: object) -> None:
        released.wait(30)
        raise OSError("too late")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    begin = time.monotonic()
    outcome = command("check", "example.com", "--json", "--timeout", "0.5")
    took = time.monotonic() - begin
    released.set()
    no_verdict(outcome, "timeout")
    assert took < 1


# ---- proxies --------------------------------------------------------------------------------------------------------


@pytest.fixture
def trusted_server(system: str, company_ca: Issued, tmp_path: Path) -> Iterator[int]:
    context = server_context(issue(company_ca, "localhost", "localhost"), tmp_path)
    with peers.peer(peers.speaking_tls(context)) as port:
        yield port


def test_the_proxy_of_the_environment_is_used(
    trusted_server: int, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bytes] = []
    with peers.peer(peers.proxy(b"200 OK", seen)) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:p%40ss@127.0.0.1:{port}")
        outcome = command("check", f"localhost:{trusted_server}", "--json")
        assert outcome.code == 0
        assert "(the proxy)" in outcome.json["connection"]["address"]
        assert seen[0].startswith(f"CONNECT localhost:{trusted_server} HTTP/1.1\r\n".encode())
        assert b"Proxy-Authorization: Basic dXNlcjpwQHNz\r\n" in seen[0]
        assert "p@ss" not in outcome.out
        assert "p%40ss" not in outcome.out
        assert command("check", f"localhost:{trusted_server}", "--no-proxy").code == 0
        monkeypatch.setenv("NO_PROXY", "localhost")
        assert command("check", f"localhost:{trusted_server}").code == 0
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("status", "topic"),
    [
        (b"403 Forbidden", "proxy-refused"),
        (b"407 Proxy Authentication Required", "proxy-credentials"),
        (b"502 Bad Gateway", "proxy-refused"),
    ],
)
def test_a_proxy_that_refuses(trusted_server: int, command: Command, status: bytes, topic: str) -> None:
    with peers.peer(peers.proxy(status, [])) as port:
        outcome = command("check", f"localhost:{trusted_server}", "--proxy", f"http://127.0.0.1:{port}", "--json")
    assert status.decode() in no_verdict(outcome, topic)["error"]


@pytest.mark.parametrize(
    ("answer", "topic"),
    [
        (peers.saying(b"SSH-2.0-OpenSSH_9\r\n\r\n"), "proxy-unusable"),
        (peers.hanging_up, "proxy-unusable"),
        (peers.silent, "timeout"),
        (peers.saying(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20_000), "too-much"),
        (peers.saying(b"HTTP/1.1 200 OK\r\n\r\nearly"), "proxy-unusable"),
    ],
    ids=["ssh", "hangs up", "silent", "endless header", "speaks early"],
)
def test_what_is_no_proxy(system: str, command: Command, answer: peers.Answer, topic: str) -> None:
    with peers.peer(answer) as port:
        options = ("--proxy", f"http://secret:word@127.0.0.1:{port}", "--timeout", "2", "--json")
        outcome = command("check", "example.com", *options)
    no_verdict(outcome, topic)
    assert "word" not in outcome.out


def test_kinds_of_proxy_that_are_not_supported(system: str, command: Command) -> None:
    for address in ("socks5://127.0.0.1:1080", "https://127.0.0.1:3128", "http://:0", "http://127.0.0.1:99999"):
        no_verdict(command("check", "example.com", "--proxy", address, "--json"), "proxy-unusable")


# ---- STARTTLS -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialogue", peers.STARTTLS)
def test_starttls(dialogue: str, system: str, command: Command, company_ca: Issued, tmp_path: Path) -> None:
    protocol = dialogue.partition(" ")[0]
    context = server_context(issue(company_ca, "localhost", "localhost"), tmp_path)
    with peers.peer(peers.after_starttls(peers.STARTTLS[dialogue], context)) as port:
        outcome = command("check", f"localhost:{port}", "--starttls", protocol, "--json")
    assert outcome.code == 0
    assert outcome.json["connection"]["starttls"] == protocol


REFUSALS = {
    "smtp": [(None, b"220 smtp\r\n"), (b"EHLO", b"250 SIZE\r\n")],
    "imap": [(None, b"* OK imap\r\n"), (b"STARTTLS", b"a BAD unknown\r\n")],
    "pop3": [(None, b"+OK pop\r\n"), (b"STLS", b"-ERR unknown\r\n")],
    "ftp": [(None, b"220 ftp\r\n"), (b"AUTH", b"502 unknown\r\n")],
    "postgres": [(b"", b"N")],
    "ldap": [(b"1466", bytes.fromhex("300c02010178070a010204000400"))],
}


@pytest.mark.parametrize("protocol", REFUSALS)
def test_starttls_that_is_refused(protocol: str, system: str, command: Command) -> None:
    def answer(connection: socket.socket) -> None:
        for expected, says in REFUSALS[protocol]:
            if expected is not None:
                assert expected in connection.recv(4096)
            connection.sendall(says)

    with peers.peer(answer) as port:
        outcome = command("check", f"localhost:{port}", "--starttls", protocol, "--json")
    no_verdict(outcome, "starttls-refused")


@pytest.mark.parametrize("protocol", ["smtp", "imap", "pop3", "ftp"])
def test_what_is_said_before_the_handshake_is_refused(
    protocol: str, system: str, command: Command, company_ca: Issued, tmp_path: Path
) -> None:
    context = server_context(issue(company_ca, "localhost", "localhost"), tmp_path)
    *before, (expected, last) = peers.STARTTLS[protocol]
    with peers.peer(peers.after_starttls([*before, (expected, last + b"injected\r\n")], context)) as port:
        outcome = command("check", f"localhost:{port}", "--starttls", protocol, "--json")
    assert "too early" in no_verdict(outcome, "starttls-refused")["error"]


@pytest.mark.parametrize("protocol", REFUSALS)
def test_starttls_with_a_peer_that_talks_nonsense(protocol: str, system: str, command: Command) -> None:
    for nonsense in (b"\xff" * 300_000, b"x\r\n" * 100_000, b"250-x\r\n" * 50_000):
        with peers.peer(peers.greeting(nonsense)) as port:
            outcome = command("check", f"localhost:{port}", "--starttls", protocol, "--json", "--timeout", "3")
        assert outcome.code == 3


# ---- the command line -----------------------------------------------------------------------------------------------


def test_a_hostile_name_cannot_steer_the_terminal(system: str, server: Server) -> None:
    evil = root("Evil\x1b[2J\x1b]0;owned\x07\u202eRoot")
    leaf = issue(evil, "\x1b[31mleaf\r\nfake: line", "localhost")
    seen = server.check(leaf, chain=[leaf.der, evil.der])
    assert seen.code == 1
    for character in ("\x1b", "\x07", "\r", "\u202e"):
        assert character not in seen.text
    assert "\\u{1b}" in seen.text
    assert not any(line.startswith("fake:") for line in seen.text.splitlines())


def test_the_chain_can_be_saved_and_explained(
    system: str, server: Server, command: Command, company_ca: Issued, tmp_path: Path
) -> None:
    file = tmp_path / "saved.pem"
    leaf = issue(company_ca, "localhost", "a.example.com")
    assert server.check(leaf, "--save", file).code == 1
    assert file.read_text().count("BEGIN CERTIFICATE") == 2
    assert command("explain", file, "--name", "a.example.com").code == 0
    assert command("explain", file, "--name", "b.example.com").code == 1


def test_what_the_command_line_takes_for_a_host() -> None:
    from truststore._commands.check import host_and_port

    assert host_and_port("example.com") == ("example.com", None)
    assert host_and_port("example.com:8443") == ("example.com", 8443)
    assert host_and_port("https://example.com/path?x=1") == ("example.com", None)
    assert host_and_port("https://user@example.com:444/") == ("example.com", 444)
    assert host_and_port("[::1]:8443") == ("::1", 8443)
    assert host_and_port("::1") == ("::1", None)


@pytest.mark.parametrize(
    "arguments",
    [
        ["check"],
        ["check", ""],
        ["check", "example.com:port"],
        ["check", "example.com:0"],
        ["check", "http://example.com/"],
        ["check", "a b"],
        ["check", "example.com", "--starttls", "gopher"],
        ["check", "example.com", "--timeout", "-1"],
        ["check", "example.com", "--timeout", "soon"],
        ["nonsense"],
        ["export", "--format", "jks"],
        ["export", "--format", "der-dir"],
        ["env", "--shell", "csh"],
    ],
    ids=" ".join,
)
def test_a_wrong_command_line(arguments: list[str], command: Command) -> None:
    outcome = command(*arguments)
    assert outcome.code == 2
    assert outcome.out == ""
    assert outcome.err
