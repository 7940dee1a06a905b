"""Systems before 10.14, where SecTrustEvaluate decides, and systems that are too old."""

from __future__ import annotations

import os
import platform
import ssl

import pytest

from macos.framework_double import Double, Setting
from macos.world import World, assert_no_verdict, assert_refused, refusal, verify
from truststore._backends.macos import MacOSVerifier
from truststore._errors import Reason
from truststore._ffi import corefoundation
from truststore._verify import Revocation


def test_verdicts_before_10_14(old_double: Double) -> None:
    world = World(old_double)
    chain = [world.leaf(), world.intermediate]
    verify(chain)
    verify([world.private_leaf(), world.private_intermediate], extra_anchors=[world.private_root.der])
    assert_refused(refusal(chain, "other.example"), Reason.OTHER, None)
    assert "kSecTrustResultRecoverableTrustFailure" in str(refusal(chain, "other.example"))
    old_double.decide(1, Setting.DENY, world.intermediate.der)
    assert "kSecTrustResultFatalTrustFailure" in str(refusal(chain))
    assert_refused(refusal(chain, revocation=Revocation.CHAIN), Reason.OTHER, None)


def test_no_trustd_before_10_14(old_double: Double) -> None:
    world = World(old_double)
    old_double.force_status(-25291)
    error = refusal([world.leaf(), world.intermediate])
    assert_no_verdict(error)
    assert "SecTrustEvaluate failed" in str(error)
    assert error.native_code == -25291  # type: ignore[attr-defined]
    assert "SSL_CERT_FILE" in str(error)


@pytest.mark.parametrize("version", ["10.7.5", "10.7", "10.6.8", "9.2"])
def test_too_old_a_system_is_an_import_error(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    monkeypatch.setattr(platform, "mac_ver", lambda: (version, ("", "", ""), "x86_64"))
    with pytest.raises(ImportError, match=r"macOS 10\.8 or later") as caught:
        MacOSVerifier()
    assert version in str(caught.value)


@pytest.mark.parametrize("version", ["10.8", "10.13.6", "10.16", "11.0", "15.5", "26.1", ""])
def test_other_systems_are_taken(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    monkeypatch.setattr(platform, "mac_ver", lambda: (version, ("", "", ""), "arm64"))
    assert MacOSVerifier().name == "macOS Security framework"


@pytest.mark.parametrize(
    ("release", "taken"), [("10.8.0", False), ("11.4.2", False), ("12.0.0", True), ("19.6.0", True), ("25.1.0", True)]
)
def test_kernel_tells_the_version(monkeypatch: pytest.MonkeyPatch, release: str, taken: bool) -> None:
    kernel = os.uname_result(("Darwin", "mac", release, "Darwin Kernel Version", "arm64"))
    monkeypatch.setattr(os, "uname", lambda: kernel)
    if taken:
        MacOSVerifier()
    else:
        with pytest.raises(ImportError, match=r"macOS 10\.8 or later"):
            MacOSVerifier()


def test_framework_without_a_needed_function_is_an_import_error(double: Double) -> None:
    signature = corefoundation.Signature("CFNoSuchFunction", (), None, corefoundation.NOTHING)
    with pytest.raises(ImportError, match="CFNoSuchFunction"):
        corefoundation.Framework(corefoundation.PATH, [signature])


def test_missing_framework_is_no_acceptance(double: Double, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(double)
    monkeypatch.setattr(corefoundation, "PATH", "/System/Library/Frameworks/Elsewhere")
    monkeypatch.setattr(corefoundation, "_core_foundation", None)
    with pytest.raises((OSError, ssl.SSLError)):
        verify([world.leaf(), world.intermediate])
