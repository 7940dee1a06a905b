"""Many threads, one verifier; and processes that fork."""

from __future__ import annotations

import multiprocessing
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from harness.environment import clean_environment

from macos.framework_double import Double
from macos.world import NAME, World
from truststore._backends.macos import MacOSVerifier
from truststore._errors import Reason
from truststore._ffi import corefoundation, security
from truststore._verify import Options


def in_threads(number: int, action: Callable[[int], object]) -> list[object]:
    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(action, range(number)))


def test_evaluations_run_at_the_same_time(world: World) -> None:
    chain = [world.leaf().der, world.intermediate.der]
    verifier = MacOSVerifier()
    world.double.let_meet(8)
    assert in_threads(8, lambda _: verifier.verify(chain, Options(NAME))) == [None] * 8


def test_threads_get_their_own_verdicts(world: World) -> None:
    """Good and bad chains, with and without extra anchors, all through one verifier."""
    verifier = MacOSVerifier()
    good = [world.leaf().der, world.intermediate.der]
    private = [world.private_leaf().der, world.private_intermediate.der]
    cases = [
        (good, Options(NAME), None),
        (good, Options("other.example"), Reason.WRONG_NAME),
        (private, Options(NAME), Reason.UNKNOWN_ISSUER),
        (private, Options(NAME, extra_anchors=[world.private_root.der]), None),
        ([], Options(NAME), Reason.NO_CERTIFICATE),
        ([good[0][:-9], good[1]], Options(NAME), Reason.BAD_ENCODING),
    ]

    def run(thread: int) -> list[str]:
        wrong = []
        for turn in range(60):
            chain, options, expected = cases[(thread + turn) % len(cases)]
            try:
                verifier.verify(chain, options)
                got = None
            except ssl.SSLCertVerificationError as error:
                got = error.reason_word  # type: ignore[attr-defined]
            if got != (expected and expected.value):
                wrong.append(f"{options}: {got} instead of {expected}")
        return wrong

    assert in_threads(8, run) == [[]] * 8


def test_first_use_by_many_threads_at_once(double: Double) -> None:
    world = World(double)
    chain = [world.leaf().der, world.intermediate.der]
    barrier = threading.Barrier(8)

    def run(_: int) -> None:
        barrier.wait()
        MacOSVerifier().verify(chain, Options(NAME))

    assert in_threads(8, run) == [None] * 8


# ---- fork ----------------------------------------------------------------------------------------------------------


def test_nothing_is_loaded_at_import() -> None:
    """Neither by importing the backend nor by making a verifier: a server may fork afterwards."""
    program = (
        "import truststore._ffi.corefoundation as cf\n"
        "cf._load = lambda path: (_ for _ in ()).throw(SystemExit(f'loaded {path}'))\n"
        "from truststore._backends.macos import MacOSVerifier\n"
        "MacOSVerifier()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=clean_environment(PYTHONPATH=":".join(sys.path)),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")


def child(chain: list[bytes], results: object) -> None:
    verifier = MacOSVerifier()
    words = []
    for name in (NAME, "other.example"):
        try:
            verifier.verify(chain, Options(name))
            words.append("trusted")
        except ssl.SSLCertVerificationError as error:
            words.append(error.reason_word)  # type: ignore[attr-defined]
    results.put(words)  # type: ignore[attr-defined]


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
@pytest.mark.parametrize("used_before", [False, True], ids=["first use in the child", "used in the parent, too"])
def test_verification_in_a_forked_child(world: World, used_before: bool) -> None:
    chain = [world.leaf().der, world.intermediate.der]
    if used_before:
        MacOSVerifier().verify(chain, Options(NAME))
    else:
        assert corefoundation._core_foundation is None
        assert security._security is None
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    process = context.Process(target=child, args=(chain, results))
    process.start()
    process.join(60)
    assert process.exitcode == 0
    assert results.get() == ["trusted", "wrong-name"]
