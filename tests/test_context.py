"""The class itself: setters that never recurse, and parity with the standard library's."""

from __future__ import annotations

import abc
import inspect
import os
import pathlib
import re
import socket
import ssl
import threading
import warnings
from typing import Any

import pytest
from harness.injection import injection
from harness.pki import Authority, new_genuine

import truststore
from truststore import _context, _environment, _trust
from truststore._context import Genuine, _SafeSetters

Ours = _context.SSLContext  # not under its own name: an extraction would take that from this module
CLIENT = ssl.PROTOCOL_TLS_CLIENT
pytestmark = pytest.mark.usefixtures("hook")


def test_every_setter_that_would_recurse_is_safe() -> None:
    """`ssl.py` names its own class in these setters, and finds whatever stands in `ssl.SSLContext`."""
    source = pathlib.Path(inspect.getsourcefile(ssl) or "").read_text()
    recursing = set(re.findall(r"super\(SSLContext, SSLContext\)\.(\w+)\.__set__", source))
    assert {"options", "verify_flags", "verify_mode", "minimum_version", "maximum_version"} <= recursing
    assert recursing <= set(vars(_SafeSetters))


def test_the_door_is_what_the_standard_library_calls() -> None:
    source = pathlib.Path(inspect.getsourcefile(ssl) or "").read_text()
    assert set(re.findall(r"\._wrap_\w+(?=\()", source)) == {"._wrap_socket", "._wrap_bio"}


SETTINGS: list[tuple[str, Any]] = [
    ("options", ssl.OP_ALL | ssl.OP_NO_COMPRESSION),
    ("verify_flags", ssl.VERIFY_CRL_CHECK_LEAF | ssl.VERIFY_X509_TRUSTED_FIRST),
    ("verify_flags", ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_TRUSTED_FIRST),
    ("minimum_version", ssl.TLSVersion.TLSv1_3),
    ("maximum_version", ssl.TLSVersion.TLSv1_2),
    ("maximum_version", ssl.TLSVersion.MAXIMUM_SUPPORTED),
    ("verify_mode", ssl.CERT_OPTIONAL),
    ("check_hostname", True),
    ("keylog_filename", None),
    ("num_tickets", 1),
    ("post_handshake_auth", True),
    ("hostname_checks_common_name", False),
]


@pytest.mark.parametrize(("name", "value"), SETTINGS, ids=lambda value: str(value))
@pytest.mark.parametrize("kind", ["ours", "made before", "subclass", "subclass of the genuine class"])
def test_settings_behave_as_in_the_standard_library(kind: str, name: str, value: Any) -> None:
    protocol = ssl.PROTOCOL_TLS_SERVER if name == "num_tickets" else CLIENT
    context = {
        "ours": lambda: ssl.SSLContext(protocol),
        "made before": lambda: new_genuine(protocol),
        "subclass": lambda: type("Sub", (ssl.SSLContext,), {})(protocol),
        "subclass of the genuine class": lambda: type("Sub", (Genuine,), {})(protocol),
    }[kind]()
    expected = new_genuine(protocol)
    with injection():
        setattr(expected, name, value)
        result = getattr(expected, name)
    setattr(context, name, value)
    assert getattr(context, name) == result
    assert type(getattr(context, name)) is type(result)


@pytest.mark.parametrize("name", ["options", "verify_flags", "minimum_version", "maximum_version", "verify_mode"])
def test_wrong_values_are_refused_as_in_the_standard_library(name: str) -> None:
    with injection():
        expected = pytest.raises(Exception)  # noqa: PT011  # whatever the standard library says
        with expected as stock:
            setattr(new_genuine(CLIENT), name, "no number")
    with pytest.raises(type(stock.value), match=re.escape(str(stock.value))):
        setattr(ssl.SSLContext(CLIENT), name, "no number")


def test_an_old_version_can_be_allowed() -> None:
    context = ssl.SSLContext(CLIENT)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.SSLv3
    assert not context.options & ssl.OP_NO_SSLv3


def test_message_callback(system_ca: Authority, system_store: object) -> None:
    messages: list[tuple[Any, ...]] = []

    def callback(*message: Any) -> None:
        messages.append(message)

    context: Any = ssl.SSLContext(CLIENT)
    assert context._msg_callback is None
    context._msg_callback = callback
    assert context._msg_callback is callback
    with pytest.raises(TypeError, match="not callable"):
        context._msg_callback = 5
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    hello = [message for message in messages if message[4] == ssl._TLSMessageType.CLIENT_HELLO]  # type: ignore[attr-defined]
    assert hello
    assert hello[0][0] is tls
    assert isinstance(hello[0][3], ssl._TLSContentType)  # type: ignore[attr-defined]
    context._msg_callback = None
    assert context._msg_callback is None


def test_message_callback_of_a_context_made_before() -> None:
    context: Any = new_genuine(CLIENT)

    def callback(*message: Any) -> None: ...

    context._msg_callback = callback
    assert context._msg_callback is callback


def test_every_attribute_of_the_genuine_class_is_there() -> None:
    assert set(dir(Genuine)) - {"__weakref__"} <= set(dir(Ours))


def test_construction() -> None:
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        context = ssl.SSLContext()
    assert {warning.filename for warning in warned} == {__file__}
    assert "without protocol argument" in str(warned[0].message)
    assert context.protocol == ssl.PROTOCOL_TLS
    with pytest.warns(DeprecationWarning, match="PROTOCOL_TLS") as warned:
        ssl.SSLContext(ssl.PROTOCOL_TLS)
    assert warned[0].filename == __file__
    with pytest.raises((TypeError, ValueError)):
        ssl.SSLContext("no protocol")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", [None, ""])
def test_who_takes_the_class_must_name_the_server(name: str | None, system_store: object) -> None:
    """Unless it says that it wants no name checked. Over BIOs, the standard library takes no name for that."""
    context = truststore.SSLContext(CLIENT)
    with pytest.raises(ValueError, match="check_hostname requires server_hostname"):
        context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname=name)
    with socket.socket() as sock, pytest.raises(ValueError, match="check_hostname requires server_hostname"):
        context.wrap_socket(sock, server_hostname=name)
    context.check_hostname = False
    context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO())


def test_a_program_that_injects_must_name_the_server(system_store: object) -> None:
    with injection(by_program=True), pytest.raises(ValueError, match="check_hostname requires server_hostname"):
        ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO())


def test_a_program_that_does_not_know_of_us_need_not_name_the_server(system_store: object) -> None:
    """Its context behaves as without the hook: the program may check the name itself."""
    assert ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO()).server_hostname is None


def test_contexts_made_before_an_injection_are_instances_while_it_lasts() -> None:
    before = new_genuine(CLIENT)
    assert isinstance(before, ssl.SSLContext)
    assert isinstance(ssl.SSLContext(CLIENT), Genuine)
    assert not isinstance(before, type("Sub", (ssl.SSLContext,), {}))
    assert not isinstance(object(), ssl.SSLContext)
    with injection():
        assert not isinstance(before, Ours)


class WithInit(Ours):
    """As a subclass of the public package's class must be written."""

    def __init__(self, protocol: int, name: str) -> None:
        super().__init__(protocol)
        self.name = name


class WithOwnProtocol(Ours):
    def __init__(self) -> None:
        super().__init__(protocol=CLIENT)


class WithNew(Ours):
    """As a subclass of the standard library's class may be written."""

    def __new__(cls, port: int) -> WithNew:
        return super().__new__(cls, CLIENT)  # type: ignore[return-value]


class Mixin:
    def __init__(self, *args: object) -> None:
        self.seen = args


class WithMixin(Ours, Mixin):
    """The standard library's class has no `__init__`, so a mixin's is called."""


def test_a_subclass_may_hand_the_protocol_on() -> None:
    context = WithInit(CLIENT, name="x")
    assert (context.name, context.protocol, context.verify_mode) == ("x", CLIENT, ssl.CERT_REQUIRED)
    assert WithNew(443).protocol == CLIENT
    assert WithMixin(CLIENT).seen == (CLIENT,)


@pytest.mark.filterwarnings("ignore:ssl.*deprecated:DeprecationWarning")
def test_a_protocol_that_comes_too_late_is_refused() -> None:
    """Not ignored: the context would be of the default protocol, which verifies nothing."""
    with pytest.raises(TypeError, match="already"):
        WithOwnProtocol()


def test_a_program_may_derive_from_it_and_from_an_abstract_class() -> None:
    class Both(ssl.SSLContext, abc.ABC):
        pass

    assert Both(CLIENT).verify_mode == ssl.CERT_REQUIRED


# ---- VERIFY_X509_STRICT ---------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("system_store")
class TestStrict:
    def strict_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(CLIENT)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    def openssl_is_strict(self, context: ssl.SSLContext) -> bool:
        raw: Any = _context._Raw
        return bool(raw.verify_flags.__get__(context) & ssl.VERIFY_X509_STRICT)

    def use(self, context: ssl.SSLContext) -> None:
        context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="localhost")

    def test_is_withheld_where_the_system_decides_and_the_program_does_not_notice(self) -> None:
        context = self.strict_context()
        self.use(context)
        assert not self.openssl_is_strict(context)
        assert context.verify_flags & ssl.VERIFY_X509_STRICT
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
        assert not self.openssl_is_strict(context)
        assert context.verify_flags & ssl.VERIFY_X509_STRICT
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        assert not context.verify_flags & ssl.VERIFY_X509_STRICT

    def test_other_flags_are_left_alone(self) -> None:
        context = self.strict_context()
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN | ssl.VERIFY_ALLOW_PROXY_CERTS
        before = context.verify_flags
        self.use(context)
        assert context.verify_flags == before
        assert _context._Raw.verify_flags.__get__(context) == before & ~ssl.VERIFY_X509_STRICT

    def test_is_honoured_for_a_pin_and_with_extra_anchors(self, private_ca: Authority) -> None:
        pinned = self.strict_context()
        pinned.load_verify_locations(private_ca.file)
        self.use(pinned)
        assert self.openssl_is_strict(pinned)
        both = self.strict_context()
        both.load_default_certs()
        self.use(both)
        assert not self.openssl_is_strict(both)
        both.load_verify_locations(private_ca.file)
        assert self.openssl_is_strict(both)

    def test_is_honoured_with_the_variable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_trust, "settings", _environment.Settings({"TRUSTSTORE_STRICT": "1"}))
        context = self.strict_context()
        self.use(context)
        assert self.openssl_is_strict(context)


# ---- configured once ------------------------------------------------------------------------------------------------


def test_the_anchors_are_configured_once_per_context(system_store: object, monkeypatch: pytest.MonkeyPatch) -> None:
    loads = []
    configure = Ours._configure
    monkeypatch.setattr(Ours, "_configure", lambda self: (loads.append(self), configure(self))[1])
    context = truststore.SSLContext(CLIENT)
    threads = [
        threading.Thread(target=context.wrap_bio, args=(ssl.MemoryBIO(), ssl.MemoryBIO(), False, "localhost"))
        for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert loads == [context]


def test_a_fork_while_another_thread_configures_does_not_hang_the_child(
    system_store: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = truststore.SSLContext(CLIENT)
    context._truststore.configuration_lock().acquire()  # as in a child whose parent's other thread held it ...
    parent = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: parent + 1)  # ... in another process
    thread = threading.Thread(target=lambda: context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), False, "localhost"))
    thread.start()
    thread.join(timeout=30)
    assert not thread.is_alive()


def test_verification_left_off_by_an_interruption_is_switched_on_again(
    delegated: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = truststore.SSLContext(CLIENT)

    def create(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(_context, "_switch_verification_on", lambda context: None)
        patch.setattr(Genuine, "_wrap_bio", create, raising=False)
        with pytest.raises(KeyboardInterrupt):
            context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="localhost")
    assert _context._Raw.verify_mode.__get__(context) == ssl.CERT_NONE, "the interruption came in between"
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname is True
    assert _context._Raw.verify_mode.__get__(context) == ssl.CERT_REQUIRED


def test_a_stderr_that_fails_decides_about_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    class Busy:
        def write(self, text: str) -> None:
            written.append(text)
            raise RuntimeError("reentrant call inside <_io.BufferedWriter name='<stderr>'>")

    written: list[str] = []
    monkeypatch.setattr(_environment.settings, "debug", True)
    monkeypatch.setattr("sys.stderr", Busy())
    context = truststore.SSLContext(CLIENT)
    context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="localhost")
    assert context._truststore.configured
    assert "trusts" in written[0]


def test_what_is_loaded_too_late_to_be_all_that_is_trusted_makes_no_pin(private_ca: Authority) -> None:
    """OpenSSL has the store's anchors by then, and what is said about the context must be true."""
    unaware = {"ssl": ssl, "__name__": "unaware"}  # a module that has not taken the class from us, as this one has
    context = eval("ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)", unaware)
    assert not context._truststore.additive
    context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="localhost")
    context.load_verify_locations(private_ca.file)
    assert not context._truststore.pinned
