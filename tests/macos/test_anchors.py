"""Extra anchors are made once, and kept for the next verification: never for other anchors, nor for another process."""

from __future__ import annotations

import os
import pathlib
import ssl
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from harness.environment import clean_environment

from macos import pki
from macos.framework_double import PREBUILT, Double
from macos.pki import Certified, issue
from macos.world import NAME, World
from truststore._backends.macos import MacOSVerifier
from truststore._verify import Options


@pytest.fixture
def other_root() -> Certified:
    return issue("Other Root", authority=True, life=pki.days(3650), private_key=pki.key("p256", 6))


def trusts(verifier: MacOSVerifier, chain: list[Certified], *anchors: Certified) -> bool:
    """Whether `verifier` accepts `chain` for NAME with extra `anchors`, whose DER is new bytes each time."""
    try:
        verifier.verify([each.der for each in chain], Options(NAME, extra_anchors=[each.der for each in anchors]))
    except ssl.SSLCertVerificationError:
        return False
    return True


def parsed(double: Double) -> int:
    return double.calls().get("SecCertificateCreateWithData", 0)


def private_chain(world: World) -> list[Certified]:
    return [world.private_leaf(), world.private_intermediate]


def test_the_same_anchors_are_parsed_once(world: World, other_root: Certified) -> None:
    verifier, chain, counts = MacOSVerifier(), private_chain(world), []
    for _ in range(3):
        before = parsed(world.double)
        assert trusts(verifier, chain, other_root, world.private_root)
        counts.append(parsed(world.double) - before)
    assert counts == [4, 2, 2]


def test_anchors_of_one_verification_do_not_help_another(world: World, other_root: Certified) -> None:
    verifier, chain = MacOSVerifier(), private_chain(world)
    for _ in range(2):
        assert trusts(verifier, chain, world.private_root)
        assert not trusts(verifier, chain)
        assert not trusts(verifier, chain, other_root)
        assert trusts(verifier, chain, other_root, world.private_root)
        assert not trusts(verifier, chain, other_root, other_root)
    assert not trusts(MacOSVerifier(only_anchors=[other_root.der]), chain)


def test_other_anchors_take_the_place_of_the_last_ones(world: World, other_root: Certified) -> None:
    verifier, chain = MacOSVerifier(), private_chain(world)
    assert trusts(verifier, chain, world.private_root)
    (before,) = [line for line in world.double.live() if "CFArray" in line]
    assert not trusts(verifier, chain, other_root)
    (after,) = [line for line in world.double.live() if "CFArray" in line]
    assert before != after
    del verifier
    assert world.double.live() == []


def test_anchors_that_cannot_be_made_are_not_kept(world: World, other_root: Certified) -> None:
    verifier, chain = MacOSVerifier(), private_chain(world)
    for call, nth in (("CFDataCreate", 4), ("SecCertificateCreateWithData", 4), ("CFArrayCreate", 3)):
        world.double.fail(call, nth)
        with pytest.raises(ssl.SSLError, match=call):
            trusts(verifier, chain, other_root, world.private_root)
        assert world.double.live() == []
    assert trusts(verifier, chain, other_root, world.private_root)


def test_threads_with_different_anchors(world: World, other_root: Certified) -> None:
    verifier, chain = MacOSVerifier(), private_chain(world)
    start = threading.Barrier(8)

    def work(number: int) -> set[bool]:
        start.wait()
        anchors = [world.private_root] if number % 2 else [other_root]
        return {trusts(verifier, chain, *anchors) for _ in range(40)}

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(8))) == [{bool(number % 2)} for number in range(8)]


def test_a_forked_child_leaves_its_parents_anchors_alone(world: World) -> None:
    verifier, chain = MacOSVerifier(), private_chain(world)
    assert trusts(verifier, chain, world.private_root)
    kept = len(world.double.live())
    child = os.fork()
    if child == 0:
        status = 1
        try:
            before = parsed(world.double)
            assert trusts(verifier, chain, world.private_root)
            assert parsed(world.double) - before == 3
            assert len(world.double.live()) == 2 * kept
            del verifier
            assert len(world.double.live()) == kept
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0


def test_the_end_of_the_interpreter_is_quiet(double_directory: pathlib.Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from macos import test_anchors; test_anchors.main()"],
        env=clean_environment(**{PREBUILT: str(double_directory), "PYTHONPATH": ":".join(sys.path)}),
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "accepted\n", "")


def main() -> None:
    """Ends with anchors that a verifier keeps, which the interpreter's modules keep."""
    from truststore import _verify

    double = Double(pathlib.Path(os.environ[PREBUILT]))
    installed = double.installed()
    world = World(installed.__enter__())
    double.abort_on_violation()
    verifier = MacOSVerifier()
    _verify.replace_verifier(verifier)
    os.register_at_fork(before=lambda: _verify)  # keeps the modules to the very end, as `_context` does
    print("accepted" if trusts(verifier, private_chain(world), world.private_root) else "refused")
    sys.modules["the context manager"] = installed  # type: ignore[assignment]  # not closed before
