"""The gate by itself, before an `_ssl` object that a test controls: whatever is no acceptance is a refusal."""

from __future__ import annotations

import gc
import ssl
import weakref
from collections.abc import Sequence
from typing import Any

import pytest

from truststore import _errors
from truststore._errors import Reason
from truststore._gate import Gate
from truststore._verify import Options
from truststore._witness import Witness

OPTIONS = Options("localhost")


class Connection:
    """Stands for an `_ssl._SSLSocket` and for what holds it as `_sslobj`."""

    context = object()
    session: object = None

    def __init__(self, chain: Sequence[bytes] | None = (b"leaf",)) -> None:
        self.chain = chain
        self.calls: list[str] = []
        self.handshake_errors: list[Exception] = []

    def do_handshake(self) -> None:
        self.calls.append("do_handshake")
        if self.handshake_errors:
            raise self.handshake_errors.pop(0)

    def get_unverified_chain(self) -> Sequence[bytes] | None:
        return self.chain

    def read(self, *args: Any) -> bytes:
        self.calls.append("read")
        return b"data"

    def write(self, data: bytes) -> int:
        self.calls.append("write")
        return len(data)

    def shutdown(self) -> None:
        self.calls.append("shutdown")

    def invented_by_a_later_python(self) -> str:
        self.calls.append("invented")
        return "moved data"

    def version(self) -> str:
        return "TLSv1.3"

    @property
    def server_hostname(self) -> str:
        return "localhost"


class Owner:
    _sslobj: object


class Verifier:
    name = "scripted"

    def __init__(self, outcome: object = None) -> None:
        self.outcome = outcome
        self.asked = 0

    def verify(self, chain: Sequence[bytes], options: Options) -> None:
        self.asked += 1
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome  # type: ignore[return-value]

    def roots(self) -> list[bytes]:
        return []


def gate(connection: Connection, verifier: Verifier, owner: Owner | None = None) -> Gate:
    made = Gate(connection, owner, verifier, OPTIONS, lambda *seen: None)
    if owner is not None:
        owner._sslobj = made
    return made


def test_after_the_acceptance_the_real_object_takes_its_place() -> None:
    connection, owner = Connection(), Owner()
    gate(connection, Verifier(), owner).do_handshake()
    assert owner._sslobj is connection


def test_works_for_an_owner_that_does_not_hold_it_as_sslobj() -> None:
    connection, verifier = Connection(), Verifier()
    stand_in = gate(connection, verifier)
    assert stand_in.write(b"abc") == 3
    assert stand_in.read(10) == b"data"
    stand_in.do_handshake()
    assert verifier.asked == 1
    assert connection.calls == ["do_handshake", "write", "read", "do_handshake"]


def test_does_not_keep_its_owner_alive() -> None:
    owner = Owner()
    stand_in = gate(Connection(), Verifier(), owner)
    gone = weakref.ref(owner)
    del owner
    gc.collect()
    assert gone() is None
    stand_in.do_handshake()


@pytest.mark.parametrize("chain", [(), None], ids=["empty", "None"])
def test_an_empty_chain_is_refused_without_asking(chain: Sequence[bytes] | None) -> None:
    connection, verifier = Connection(chain), Verifier()
    with pytest.raises(ssl.SSLCertVerificationError):
        gate(connection, verifier).write(b"secret")
    assert verifier.asked == 0
    assert "write" not in connection.calls


@pytest.mark.parametrize("answer", [True, False, 0, 1, "ok", object()], ids=repr)
def test_an_answer_that_is_not_none_is_a_refusal(answer: object) -> None:
    connection = Connection()
    stand_in = gate(connection, Verifier(answer))
    for _ in range(2):
        with pytest.raises(ssl.SSLError, match="instead of a verdict"):
            stand_in.write(b"secret")
    assert "write" not in connection.calls


@pytest.mark.parametrize(
    ("failure", "raised", "raised_again"),
    [
        (_errors.verification_error(Reason.EXPIRED), ssl.SSLCertVerificationError, ssl.SSLCertVerificationError),
        (_errors.machinery_error("call", "broken"), ssl.SSLError, ssl.SSLError),
        (OSError(5, "access denied"), OSError, OSError),
        (ValueError("bug"), ssl.SSLError, ssl.SSLError),
        (MemoryError(), ssl.SSLError, ssl.SSLError),
        (KeyboardInterrupt(), KeyboardInterrupt, ssl.SSLError),
        (SystemExit(), SystemExit, ssl.SSLError),
        (GeneratorExit(), GeneratorExit, ssl.SSLError),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_every_failure_is_a_lasting_refusal(
    failure: BaseException, raised: type[BaseException], raised_again: type[BaseException]
) -> None:
    connection, verifier = Connection(), Verifier(failure)
    stand_in = gate(connection, verifier)
    with pytest.raises(raised):
        stand_in.do_handshake()
    verifier.outcome = None  # it would accept now; nobody asks it again
    for attempt in (
        stand_in.do_handshake,
        stand_in.read,
        lambda: stand_in.write(b"secret"),
        stand_in.shutdown,
        stand_in.invented_by_a_later_python,
    ):
        with pytest.raises(raised_again):
            attempt()
    assert verifier.asked == 1
    assert connection.calls == ["do_handshake"]


def test_the_refusal_keeps_its_shape_and_is_a_new_object_each_time() -> None:
    stand_in = gate(Connection(), Verifier(_errors.verification_error(Reason.WRONG_NAME, "not for you", -67602)))
    seen = []
    for _ in range(3):
        with pytest.raises(ssl.SSLCertVerificationError) as caught:
            stand_in.do_handshake()
        seen.append(caught.value)
        assert caught.value.verify_code == 62
        assert caught.value.reason == "CERTIFICATE_VERIFY_FAILED"
        assert caught.value.library == "SSL"
        assert vars(caught.value)["native_code"] == -67602
        assert str(caught.value).startswith("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: not for you")
    assert len({id(error) for error in seen}) == 3


def test_a_failure_while_explaining_leaves_the_refusal_in_place() -> None:
    connection = Connection()

    def explain(error: Exception, name: str | None, connection: object) -> None:
        raise RuntimeError("cannot explain")

    stand_in = Gate(connection, None, Verifier(_errors.verification_error(Reason.EXPIRED)), OPTIONS, explain)
    for operation in (stand_in.do_handshake, lambda: stand_in.write(b"secret")):
        with pytest.raises(ssl.SSLCertVerificationError):
            operation()
    assert "write" not in connection.calls


def test_a_handshake_that_wants_more_input_is_no_verdict() -> None:
    connection, verifier = Connection(), Verifier()
    connection.handshake_errors = [ssl.SSLWantReadError(), ssl.SSLWantWriteError()]
    stand_in = gate(connection, verifier)
    with pytest.raises(ssl.SSLWantReadError):
        stand_in.do_handshake()
    with pytest.raises(ssl.SSLWantWriteError):
        stand_in.write(b"early")
    assert verifier.asked == 0
    stand_in.do_handshake()
    assert verifier.asked == 1


def test_a_method_that_nobody_knows_waits_for_the_verdict() -> None:
    connection = Connection()
    stand_in = gate(connection, Verifier())
    assert stand_in.invented_by_a_later_python() == "moved data"
    assert connection.calls == ["do_handshake", "invented"]


def test_looking_at_a_connection_does_not_start_its_handshake() -> None:
    connection = Connection()
    stand_in = gate(connection, Verifier())
    assert stand_in.version() == "TLSv1.3"
    assert stand_in.context is Connection.context
    assert hasattr(stand_in, "invented_by_a_later_python")
    assert not hasattr(stand_in, "nothing")
    assert connection.calls == []


def test_a_session_is_not_taken_up_before_the_verdict() -> None:
    connection = Connection()
    stand_in = gate(connection, Verifier())
    stand_in.session = "resumed"
    assert connection.session is None
    stand_in.context = "another context"
    assert connection.context == "another context"


def test_every_method_of_this_pythons_connections_is_known() -> None:
    """A method that a new Python adds waits for the verdict; this test tells us to decide about it."""
    decided = {
        "cipher", "compression", "do_handshake", "get_channel_binding", "get_unverified_chain", "get_verified_chain",
        "getpeercert", "group", "pending", "read", "selected_alpn_protocol", "selected_npn_protocol", "shared_ciphers",
        "shutdown", "verify_client_post_handshake", "version", "write",
    }  # fmt: skip
    connection_type: Any = ssl._ssl._SSLSocket  # type: ignore[attr-defined]
    methods = {name for name, value in vars(connection_type).items() if callable(value) and not name.startswith("_")}
    assert methods <= decided | {"sendfile", "uses_ktls_for_recv", "uses_ktls_for_send"}


def test_a_witness_explains_and_steps_aside() -> None:
    explained = []
    connection, owner = Connection(), Owner()
    connection.handshake_errors = [ssl.SSLWantReadError(), _errors.verification_error(Reason.UNKNOWN_ISSUER)]
    owner._sslobj = witness = Witness(connection, owner, lambda *seen: explained.append(seen))
    with pytest.raises(ssl.SSLWantReadError):
        witness.do_handshake()
    assert explained == []
    with pytest.raises(ssl.SSLCertVerificationError) as caught:
        witness.do_handshake()
    assert explained == [(caught.value, "localhost", connection)]
    witness.do_handshake()
    assert owner._sslobj is connection


def test_a_failure_while_explaining_does_not_hide_the_verdict_of_openssl() -> None:
    connection = Connection()
    connection.handshake_errors = [_errors.verification_error(Reason.EXPIRED)]

    def explain(error: Exception, name: str | None, connection: object) -> None:
        raise RuntimeError("cannot explain")

    with pytest.raises(ssl.SSLCertVerificationError):
        Witness(connection, None, explain).do_handshake()
