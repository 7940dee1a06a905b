"""The world that most tests share: a machine's roots, certificates below them, and short ways to ask and to check."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from typing import Any

import pytest

from macos import pki
from macos.framework_double import Double
from macos.pki import Certified, issue
from truststore._backends.macos import MacOSVerifier
from truststore._errors import Reason
from truststore._verify import Options

NAME = "server.example"


class World:
    """A machine with one system root, one private root that it does not know, and an intermediate below each."""

    def __init__(self, double: Double) -> None:
        self.double = double
        self.root = issue("System Root", authority=True, life=pki.days(3650), private_key=pki.key("p256", 1))
        self.private_root = issue("Private Root", authority=True, life=pki.days(3650), private_key=pki.key("p256", 2))
        self.intermediate = issue("Intermediate", self.root, authority=True, private_key=pki.key("p256", 3))
        self.private_intermediate = issue(
            "Private Intermediate", self.private_root, authority=True, private_key=pki.key("p256", 4)
        )
        double.trust_as_system(self.root.der)

    def leaf(self, **how: Any) -> Certified:
        """A certificate for NAME below the system's root."""
        how = {"names": [NAME], "private_key": pki.key("p256", 5)} | how
        return issue(how.pop("common_name", NAME), how.pop("issuer", self.intermediate), **how)

    def private_leaf(self, **how: Any) -> Certified:
        """The same below the private root."""
        return self.leaf(**({"issuer": self.private_intermediate} | how))


def verify(chain: Sequence[Certified | bytes], name: str | None = NAME, **options: Any) -> None:
    ders = [each if isinstance(each, bytes) else each.der for each in chain]
    MacOSVerifier().verify(ders, Options(name, **options))


def refusal(chain: Sequence[Certified | bytes], name: str | None = NAME, **options: Any) -> ssl.SSLError:
    with pytest.raises(ssl.SSLError) as caught:
        verify(chain, name, **options)
    return caught.value


def assert_refused(error: ssl.SSLError, reason: Reason, code: int | None) -> None:
    """`error` is a verdict, shaped as OpenSSL's, for `reason` and with the system's `code`."""
    assert isinstance(error, ssl.SSLCertVerificationError)
    assert (error.reason_word, error.native_code) == (reason.value, code)  # type: ignore[attr-defined]
    assert error.verify_code == reason.verify_code
    assert error.errno == 1
    assert error.reason == "CERTIFICATE_VERIFY_FAILED"
    assert str(error).startswith("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: ")


def assert_no_verdict(error: ssl.SSLError) -> None:
    """`error` says that there was no verdict."""
    assert not isinstance(error, ssl.SSLCertVerificationError)
