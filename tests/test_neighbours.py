"""Living beside others: the PyPI distribution `truststore`, programs that inject by themselves, pip, gevent, eventlet.

The proof that the hook decides: with SSL_CERT_FILE naming a company's CA, `requests` refuses its servers without the
hook, since it brings certifi's roots along, and accepts them with it.
"""

from __future__ import annotations

import pathlib
import ssl
import sys
import textwrap
import zipfile
from collections.abc import Callable, Iterator

import pytest
from harness.environments import Environment, NewEnvironment, show_libraries
from harness.pki import Authority
from harness.servers import https_server, package_index

GET = """
import ssl, sys, urllib.request
def urllib_get():
    return urllib.request.urlopen(sys.argv[1]).read().decode()
def requests_get():
    import requests
    return requests.get(sys.argv[1]).text
def outcome(get):
    try:
        return get()
    except OSError as error:
        return "refused" if "CERTIFICATE_VERIFY_FAILED" in str(error) else repr(error)
"""
REPORT = GET + "print(ssl.SSLContext.__module__, outcome(urllib_get), outcome(requests_get))"
HOOKED, STOCK = "truststore._context hello hello\n", "ssl hello refused\n"


@pytest.fixture(scope="module")
def url(system_ca: Authority) -> Iterator[str]:
    """A server whose CA only SSL_CERT_FILE knows."""
    with https_server(system_ca.server_context()) as address:
        yield address


@pytest.fixture(scope="module")
def other_url(private_ca: Authority) -> Iterator[str]:
    """A server whose CA nobody knows."""
    with https_server(private_ca.server_context()) as address:
        yield address


Run = Callable[..., str]


@pytest.fixture
def get(url: str, system_ca: Authority) -> Run:
    """Runs a program in an environment, with the server's URL for its argument; returns what it printed, on stdout."""

    def run(environment: Environment, program: str, *arguments: str, **variables: str) -> str:
        done = environment.run(
            *("-c", textwrap.dedent(program), url, *arguments), SSL_CERT_FILE=str(system_ca.file), **variables
        )
        assert done.stderr == ""
        return done.stdout

    return run


@pytest.fixture
def environment(new_environment: NewEnvironment) -> Environment:
    """An environment with the wheel and libraries, for one test to change."""
    made = new_environment()
    show_libraries(made)
    return made


@pytest.fixture
def bare(new_environment: NewEnvironment) -> Environment:
    """The same without the wheel."""
    made = new_environment(hooked=False)
    show_libraries(made)
    return made


def test_the_proof_tells_the_hook_from_the_standard_library(get: Run, environment: Environment) -> None:
    assert get(environment, REPORT) == HOOKED
    assert get(environment, REPORT, TRUSTSTORE_DISABLE="1") == STOCK


# ---- the PyPI distribution truststore, which installs a folder of the same name -------------------------------------

# Programs use either's public names, and `truststore.SSLContext` verifies whoever provides it.
PUBLIC_NAMES = (
    GET
    + """
import truststore
context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
print(urllib.request.urlopen(sys.argv[1], context=context).read().decode())
truststore.inject_into_ssl()
print(outcome(urllib_get), outcome(requests_get))
truststore.extract_from_ssl()
print(outcome(urllib_get))
"""
)


@pytest.fixture
def theirs(wheelhouse: pathlib.Path) -> pathlib.Path:
    """The wheel of the distribution `truststore`."""
    (found,) = wheelhouse.glob("truststore-*.whl")
    return found


@pytest.mark.parametrize("first", ["ours", "theirs"])
@pytest.mark.parametrize("removed", ["ours", "theirs"])
def test_the_distribution_truststore_may_come_and_go(
    first: str, removed: str, bare: Environment, wheel: pathlib.Path, theirs: pathlib.Path, get: Run
) -> None:
    for package in (wheel, theirs) if first == "ours" else (theirs, wheel):
        bare.install(package)
    assert get(bare, REPORT) == HOOKED
    assert get(bare, "import truststore\n" + REPORT) == HOOKED  # the package is imported first, and imports ssl
    assert get(bare, PUBLIC_NAMES).endswith("hello\n")
    assert get(bare, REPORT, TRUSTSTORE_DISABLE="1") == STOCK

    bare.uninstall("truststore-auto" if removed == "ours" else "truststore")
    assert get(bare, REPORT) == (STOCK if removed == "ours" else HOOKED)
    assert get(bare, "pass") == ""

    # What was torn apart is mended by installing what is wanted again.
    bare.install(wheel)
    assert get(bare, REPORT) == HOOKED
    assert get(bare, "import ssl, truststore; print(ssl.SSLContext is truststore.SSLContext)") == "True\n"


def test_both_classes_work_together_in_one_process(
    environment: Environment, theirs: pathlib.Path, tmp_path: pathlib.Path, get: Run
) -> None:
    """A vendored copy of theirs, as several tools carry one, imported before and after `ssl`."""
    with zipfile.ZipFile(theirs) as archive:
        archive.extractall(tmp_path)
    (tmp_path / "truststore").rename(tmp_path / "vendored")
    for statement in ("import vendored", "import ssl, vendored", "import vendored; vendored.inject_into_ssl()"):
        program = f"""
import sys
sys.path.append({str(tmp_path)!r})
{statement}
{GET}
context = vendored.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.minimum_version = ssl.TLSVersion.TLSv1_2
context.verify_flags |= ssl.VERIFY_X509_TRUSTED_FIRST
print(urllib.request.urlopen(sys.argv[1], context=context).read().decode(), outcome(urllib_get), outcome(requests_get))
"""
        assert get(environment, program) == "hello hello hello\n", statement


# ---- programs that inject by themselves -----------------------------------------------------------------------------


def test_a_program_that_injects_by_itself_keeps_its_ways(
    get: Run, environment: Environment, other_url: str, private_ca: Authority
) -> None:
    program = (
        GET
        + f"""
import truststore
def pinned():  # a context on which the program loads its own CA: who is trusted besides?
    context = ssl.create_default_context(cafile={str(private_ca.file)!r})
    verdicts = []
    for url in sys.argv[1:]:
        try:
            verdicts.append(urllib.request.urlopen(url, context=context).read().decode())
        except OSError:
            verdicts.append("refused")
    return verdicts
print(ssl.SSLContext is truststore.SSLContext, pinned())
truststore.inject_into_ssl()
print(ssl.SSLContext is truststore.SSLContext, pinned())
truststore.extract_from_ssl()
print(ssl.SSLContext is truststore.SSLContext, pinned(), outcome(requests_get))
truststore.extract_from_ssl()
print(ssl.SSLContext is truststore.SSLContext, pinned(), outcome(requests_get))
"""
    )
    assert get(environment, program, other_url).splitlines() == [
        "True ['refused', 'hello']",  # by the hook: the standard library's meaning
        "True ['hello', 'hello']",  # by the program: besides the system store
        "True ['refused', 'hello'] hello",  # the hook is still there
        "False ['refused', 'hello'] refused",  # opted out, for this process
    ]


def test_a_program_can_inject_where_the_hook_is_disabled(get: Run, environment: Environment) -> None:
    program = (
        GET
        + """
import truststore
print(outcome(requests_get))
truststore.inject_into_ssl()
print(outcome(requests_get))
truststore.extract_from_ssl()
print(outcome(requests_get), ssl.SSLContext.__module__)
"""
    )
    assert get(environment, program, TRUSTSTORE_DISABLE="1").splitlines() == ["refused", "hello", "refused ssl"]


# ---- pip ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def index(system_ca: Authority, wheel: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A package index over HTTPS, with our own wheel in it."""
    with package_index(system_ca.server_context(), tmp_path_factory.mktemp("index"), [wheel]) as address:
        yield address


def test_pip_works_with_the_hook(
    new_environment: NewEnvironment, index: str, system_ca: Authority, tmp_path: pathlib.Path
) -> None:
    """pip brings a copy of the distribution truststore and injects with it: the hook must not get in its way."""
    environment = new_environment(pip=True)
    options = ("--no-cache-dir", "--no-deps", "--retries", "0")
    for command in (("download", "--dest", str(tmp_path)), ("install", "--force-reinstall")):
        arguments = ("-m", "pip", *command, *options, "--index-url", index, "truststore-auto")
        refused = environment.run(*arguments, check=False, timeout=300)
        assert refused.returncode != 0
        assert "CERTIFICATE_VERIFY_FAILED" in refused.stdout + refused.stderr
        environment.run(*arguments, SSL_CERT_FILE=str(system_ca.file), timeout=300)
    assert len(list(tmp_path.glob("*.whl"))) == 1


@pytest.mark.parametrize("statement", ["import ssl", "pass"])
def test_the_copy_of_truststore_in_pip_works(
    statement: str, new_environment: NewEnvironment, url: str, other_url: str, system_ca: Authority
) -> None:
    environment = new_environment(pip=True)
    program = f"""
{statement}
from pip._vendor import truststore as copy
{GET}
context = copy.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.load_verify_locations(__import__("pip._vendor.certifi", fromlist=["where"]).where())
for url in sys.argv[1:]:
    print(outcome(lambda: urllib.request.urlopen(url, context=context).read().decode()))
copy.inject_into_ssl()
print(outcome(urllib_get))
copy.extract_from_ssl()
print(outcome(urllib_get), ssl.SSLContext.__module__)
"""
    done = environment.run("-c", program, url, other_url, SSL_CERT_FILE=str(system_ca.file))
    assert (done.stdout.splitlines()[:3], done.stderr) == (["hello", "refused", "hello"], "")
    assert done.stdout.splitlines()[3].startswith("hello ")


# ---- gevent and eventlet --------------------------------------------------------------------------------------------

PATCH = {
    "gevent": "from gevent import monkey; monkey.patch_all()",
    "eventlet": "import eventlet; eventlet.monkey_patch()",
}


@pytest.mark.parametrize("library", ["gevent", "eventlet"])
@pytest.mark.parametrize("order", ["patch, import", "import, patch"])
def test_cooperative_programs_verify_by_the_system_store(
    library: str, order: str, get: Run, with_libraries: Environment, other_url: str
) -> None:
    """Patching after the import is a RecursionError in requests without the hook; with it, it works."""
    imports = "import ssl, urllib.request, requests"
    statements = [PATCH[library], imports] if order == "patch, import" else [imports, PATCH[library]]
    program = "\n".join(
        [
            "import warnings; warnings.simplefilter('ignore')",
            *statements,
            GET,
            "print(ssl.SSLContext.__module__.partition('.')[0], ssl.SSLContext.__mro__[1].__module__)",
            "print(outcome(urllib_get), outcome(requests_get))",
            "sys.argv[1] = sys.argv[2]",
            "print(outcome(urllib_get), outcome(requests_get))",
        ]
    )
    assert get(with_libraries, program, other_url).splitlines() == [
        f"{library} truststore._context",
        "hello hello",
        "refused refused",
    ]


@pytest.mark.parametrize("library", ["gevent", "eventlet"])
def test_cooperative_connections_yield_to_each_other(library: str, get: Run, with_libraries: Environment) -> None:
    """While one connection waits for its server, which waits for the other one, that goes on: nothing blocks."""
    spawn = {
        "gevent": "import gevent; jobs = [gevent.spawn(first), gevent.spawn(second)]; gevent.joinall(jobs, timeout=20)",
        "eventlet": "jobs = [eventlet.spawn(first), eventlet.spawn(second)]; [job.wait() for job in jobs]",
    }[library]
    program = f"""
import warnings; warnings.simplefilter("ignore")
{PATCH[library]}
{GET}
import socket, threading
order = []
silent = socket.create_server(("127.0.0.1", 0))
def first():  # its server answers nothing until the second one is through
    connection = socket.create_connection(silent.getsockname())
    try:
        ssl.create_default_context().wrap_socket(connection, server_hostname="localhost")
    except (OSError, EOFError):
        order.append("first")
def second():
    accepted, _ = silent.accept()
    order.append(urllib_get())
    accepted.close()
{spawn}
print(order)
"""
    assert get(with_libraries, program) == "['hello', 'first']\n"


def test_a_hook_that_comes_after_gevent_serves_its_contexts(get: Run, with_libraries: Environment) -> None:
    """`ssl` is patched before the hook injects, as with a startup file whose name sorts before ours."""
    program = f"""
import warnings; warnings.simplefilter("ignore")
import sys, truststore_autoinject as hook
sys.meta_path.remove(hook._finder)
{PATCH["gevent"]}
import ssl
assert hook.state == "waiting" and ssl.SSLContext.__module__ == "gevent.ssl"
hook.activate()
{REPORT}
"""
    assert get(with_libraries, program) == HOOKED


def test_this_process_is_not_part_of_it() -> None:
    """The certificates and servers of these tests are made with the standard library's own class."""
    assert ssl.create_default_context().verify_mode == ssl.CERT_REQUIRED
    assert "gevent" not in sys.modules
    assert "eventlet" not in sys.modules
