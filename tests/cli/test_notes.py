"""What an `SSLCertVerificationError` in a program says: one line with the cause and the next command."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
from harness import peers
from harness.command_line import system_with
from harness.environment import clean_environment
from harness.issuing import DAY, Issued, intermediate, issue, root, server_context


def refusal(context: ssl.SSLContext, leaf: Issued, directory: Path, chain: list[bytes] | None = None) -> list[str]:
    """The lines that we added to the exception with which a connection to `localhost` ends."""
    import socket

    with peers.peer(peers.speaking_tls(server_context(leaf, directory, chain))) as port:
        connection = socket.create_connection(("127.0.0.1", port), timeout=30)
        with connection, pytest.raises(ssl.SSLCertVerificationError) as caught:
            context.wrap_socket(connection, server_hostname="localhost")
    if sys.version_info >= (3, 11):
        lines: list[str] = caught.value.__notes__
        assert "truststore" not in str(caught.value)
    else:
        lines = str(caught.value).split("\n")[1:]
    assert str(caught.value).startswith("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: ")
    return lines


RUN = "run: python -m truststore check localhost"


@pytest.mark.parametrize("protocol", ["TLSv1_2", "TLSv1_3"])
def test_each_refusal_says_its_cause_in_one_line(
    system: str, company_ca: Issued, tmp_path: Path, protocol: str
) -> None:
    context = ssl.create_default_context()
    context.minimum_version = context.maximum_version = ssl.TLSVersion[protocol]
    (line,) = refusal(context, issue(company_ca, "x", "a.example.com", "b.example.com"), tmp_path)
    assert line == f"truststore: the certificate is for a.example.com, b.example.com, not for localhost; {RUN}"
    (line,) = refusal(context, issue(company_ca, "x", "localhost", last=-DAY), tmp_path)
    assert line.startswith("truststore: CN=x expired 1 day ago, on ")
    assert line.endswith(RUN)
    (line,) = refusal(context, issue(intermediate(root("Other Root")), "x", "localhost"), tmp_path)
    assert line.startswith("truststore: the chain ends at CN=Other Root; not trusted by ")
    assert line.endswith(RUN)


def test_a_pinned_context_says_so(system: str, company_ca: Issued, company_root: Issued, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    other.write_text(root("Other Root").pem)
    context = ssl.create_default_context(cafile=str(other))
    (line,) = refusal(context, issue(company_ca, "x", "localhost"), tmp_path)
    assert f"trusts only what its program loaded ({other})" in line
    assert line.endswith(RUN)


def test_a_context_that_does_not_check_the_name(system: str, tmp_path: Path) -> None:
    context = ssl.create_default_context()
    context.check_hostname = False
    (line,) = refusal(context, issue(root("Other Root"), "x", "localhost"), tmp_path)
    assert "run: python -m truststore check" in line


def test_an_empty_store_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, company_ca: Issued) -> None:
    for _ in system_with([], "native", tmp_path, monkeypatch):
        from truststore._backends import openssl

        monkeypatch.setattr(openssl, "_system_store", None)
        monkeypatch.setattr(openssl, "find_store", lambda *_: openssl.Store("no system trust store was found"))
        (line,) = refusal(ssl.create_default_context(), issue(company_ca, "x", "localhost"), tmp_path)
    assert "nothing is trusted: no system trust store was found" in line


def test_the_explanation_is_not_loaded_before_a_peer_is_refused(tmp_path: Path) -> None:
    code = """
import json, ssl, sys
import truststore
truststore.inject_into_ssl()
context = ssl.create_default_context()
context.get_ca_certs()
print(json.dumps(sorted(name for name in sys.modules if name.startswith("truststore"))))
"""
    result = subprocess.run(
        [sys.executable, "-c", code], env=clean_environment(), capture_output=True, text=True, check=True, timeout=60
    )
    loaded = json.loads(result.stdout)
    assert "truststore._context" in loaded
    late = {"_cli", "_commands", "_errors", "_explain", "_oracle", "_x509"}
    assert not late & {name.split(".")[1] for name in loaded if "." in name}
