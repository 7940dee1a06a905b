"""Every call of the frameworks fails once: nothing is trusted, nothing leaks, nothing dies."""

from __future__ import annotations

import os
import pathlib
import ssl
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress

import pytest
from harness.environment import clean_environment

from macos.framework_double import PREBUILT, Double, Setting
from macos.pki import NOW, ocsp_response
from macos.world import NAME, World
from truststore._backends.macos import MacOSVerifier
from truststore._verify import Options, Revocation

# Functions without a way to fail; CFRelease is counted all the same.
CANNOT_FAIL = {"CFRelease"}


def trusted_verification(world: World) -> Callable[[], object]:
    """A verification that uses everything a good chain can use."""
    leaf = world.leaf()
    world.double.answer_ocsp(ocsp_response(leaf, revoked=False))
    chain = [leaf.der, world.intermediate.der]
    options = Options(NAME, Revocation.CHAIN, [world.private_root.der, world.private_intermediate.der])
    return lambda: MacOSVerifier(moment=NOW.timestamp()).verify(chain, options)


def refused_verification(world: World) -> Callable[[], object]:
    """A verification that ends with words, a code and a domain to be read."""
    chain = [world.leaf().der, world.intermediate.der]
    return lambda: MacOSVerifier().verify(chain, Options("other.example", extra_anchors=[world.private_root.der]))


def every_failure(double: Double, action: Callable[[], object]) -> list[tuple[str, int]]:
    """(function, n) for each call that `action` makes when nothing fails."""
    before = double.calls()
    with suppress(ssl.SSLError):
        action()
    after = double.calls()
    return [
        (name, nth + 1)
        for name, count in after.items()
        if name not in CANNOT_FAIL
        for nth in range(count - before.get(name, 0))
    ]


def outcome(action: Callable[[], object]) -> ssl.SSLError | None:
    try:
        action()
    except ssl.SSLError as error:
        return error
    return None


def run_all(world: World, kind: Callable[[World], Callable[[], object]]) -> int:
    action = kind(world)
    failures = every_failure(world.double, action)
    for name, nth in failures:
        world.double.fail(name, nth)
        error = outcome(action)
        assert error is not None, f"trusted although call {nth} of {name} failed"
        del error
        assert world.double.violations() == [], (name, nth)
        assert world.double.live() == [], (name, nth)
    return len(failures)


def test_each_failure_in_a_good_verification_is_a_refusal(world: World) -> None:
    assert outcome(trusted_verification(world)) is None
    assert run_all(world, trusted_verification) >= 23


def test_each_failure_in_a_refused_verification_is_a_refusal(world: World) -> None:
    assert isinstance(outcome(refused_verification(world)), ssl.SSLCertVerificationError)
    assert run_all(world, refused_verification) >= 20


@pytest.mark.parametrize(
    ("call", "status"),
    [
        ("SecTrustCreateWithCertificates", -108),
        ("SecTrustCreateWithCertificates/NULL", None),
        ("SecTrustSetAnchorCertificates", -108),
        ("SecTrustSetAnchorCertificatesOnly", -108),
        ("SecTrustSetVerifyDate", -108),
        ("SecTrustEvaluateWithError", -25291),
        ("SecPolicyCreateSSL", None),
        ("SecPolicyCreateRevocation", None),
        ("CFArrayCreate", None),
        ("CFStringCreateWithBytes", None),
    ],
)
def test_failure_of_a_call_names_it(world: World, call: str, status: int | None) -> None:
    action = trusted_verification(world)
    world.double.fail(call)
    error = outcome(action)
    assert error is not None
    assert not isinstance(error, ssl.SSLCertVerificationError)
    assert f"{call.partition('/')[0]} failed" in str(error)
    assert error.native_code == status  # type: ignore[attr-defined]


def test_no_failure_kills_the_process(double: Double, double_directory: pathlib.Path) -> None:
    """The same with a double that aborts at a misuse, as macOS does."""
    done = subprocess.run(
        [sys.executable, "-c", "from macos import test_faults; test_faults.main()"],
        env=clean_environment(**{PREBUILT: str(double_directory), "PYTHONPATH": ":".join(sys.path)}),
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 45


def main() -> None:
    """Run all failures with a double that aborts, and print how many there were."""
    with Double(pathlib.Path(os.environ[PREBUILT])).installed() as double:
        double.abort_on_violation()
        world = World(double)
        print(run_all(world, trusted_verification) + run_all(world, refused_verification))


def test_each_failure_while_roots_are_listed(world: World) -> None:
    double = world.double
    double.decide(1, Setting.TRUST_FOR_TLS, world.private_root.der)
    double.decide(1, Setting.DENY_FOR_TLS, world.private_intermediate.der)
    double.trust_as_system(world.private_intermediate.der)
    verifier = MacOSVerifier()
    good = {world.root.der, world.private_root.der}
    assert set(verifier.roots()) == good
    failures = every_failure(double, verifier.roots)
    assert len(failures) >= 30
    for name, nth in failures:
        double.fail(name, nth)
        try:
            listed = verifier.roots()
        except ssl.SSLError:
            listed = []
        assert set(listed) <= good | {world.private_intermediate.der, b""}, (name, nth)
        assert double.violations() == [], (name, nth)
        assert double.live() == [], (name, nth)


@pytest.mark.parametrize("status", [0, -25291])
def test_old_systems_refuse_on_each_failure(old_double: Double, status: int) -> None:
    world = World(old_double)
    old_double.force_status(status)
    if status:
        assert outcome(trusted_verification(world)) is not None
    assert run_all(world, trusted_verification) >= 20
