"""The hook in real interpreters: an environment with the wheel, and a subprocess for each test."""

from __future__ import annotations

import importlib.machinery
import pathlib
import re
import shutil
import sys
import textwrap
import types
from collections.abc import Iterator

import pytest
from harness.environment import missing
from harness.environments import Environment, NewEnvironment, create
from harness.pki import Authority
from harness.servers import https_server

import truststore_autoinject

SPELLINGS_OF_YES = ["1", "true", "yes", "on", "True", "YES", " on "]
SPELLINGS_OF_NO = ["", "0", "false", "no", "off", "2"]

WHO = "import ssl; print(ssl.SSLContext.__module__)"
HOOKED, STOCK = "truststore._context\n", "ssl\n"

# Prints what became of the hook, whose class stands in `ssl`, whether a connection to the server argv[1] succeeds with
# default trust, and whether it does with the server's own CA argv[2].
VERDICTS = textwrap.dedent("""
    import ssl, sys, urllib.request
    import truststore_autoinject as hook

    def outcome(**trust):
        try:
            with urllib.request.urlopen(sys.argv[1], context=ssl.create_default_context(**trust)) as answer:
                return answer.read().decode()
        except OSError as error:
            assert isinstance(error.reason, ssl.SSLCertVerificationError), error
            return "refused"

    default, pinned = outcome(), outcome(cafile=sys.argv[2])
    print(hook.state, type(hook.failure).__name__, ssl.SSLContext.__module__, default, pinned)
""")


@pytest.fixture(scope="module")
def url(private_ca: Authority) -> Iterator[str]:
    """A server whose CA is in no system store."""
    with https_server(private_ca.server_context()) as address:
        yield address


def program(directory: pathlib.Path, text: str, name: str = "program.py") -> pathlib.Path:
    file = directory / name
    file.write_text(textwrap.dedent(text), encoding="utf-8")
    return file


# ---- every kind of start --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [(), ("-I",), ("-E",), ("-s",), ("-B",), ("-O",), ("-W", "error"), ("-X", "dev")])
def test_every_ordinary_start_is_hooked_and_silent(options: tuple[str, ...], hooked: Environment) -> None:
    done = hooked.run(*options, "-c", WHO)
    assert (done.stdout, done.stderr) == (HOOKED, "")


def test_without_site_there_is_no_hook(hooked: Environment) -> None:
    assert hooked.run("-S", "-c", WHO).stdout == STOCK


def test_modules_scripts_and_standard_input_are_hooked(hooked: Environment, tmp_path: pathlib.Path) -> None:
    file = program(tmp_path, WHO, "named_module.py")
    assert hooked.run(file).stdout == HOOKED
    assert hooked.run("-m", "named_module", PYTHONPATH=str(tmp_path)).stdout == HOOKED
    assert hooked.run("-c", f"import runpy; runpy.run_path({str(file)!r})").stdout == HOOKED


def imported(environment: Environment, statement: str = "pass") -> set[str]:
    lines = environment.run("-X", "importtime", "-c", statement).stderr.splitlines()
    return {line.rpartition("|")[2].strip() for line in lines[1:]}


def test_a_start_imports_the_startup_module_and_nothing_else(
    hooked: Environment, stock: Environment, new_environment: NewEnvironment
) -> None:
    assert imported(hooked) - imported(stock) - {"encodings.utf_8_sig"} == {"truststore_autoinject"}
    # The least that any startup line costs: one that imports an empty module. (3.13 decodes it with utf-8-sig.)
    least = new_environment(hooked=False)
    (least.site_packages / "empty.py").touch()
    (least.site_packages / "empty.pth").write_text("import empty\n")
    assert imported(hooked) - {"truststore_autoinject"} == imported(least) - {"empty"}


def test_nothing_of_the_package_is_loaded_before_ssl(hooked: Environment) -> None:
    statement = (
        "import json, socket, http.server, sys, importlib.util;"
        "importlib.util.find_spec('truststore'), importlib.util.find_spec('ssl');"
        "print(sorted(name for name in sys.modules if name.startswith(('truststore', 'ssl', '_ssl'))))"
    )
    # http.client, which http.server imports, imports ssl
    assert "truststore._context" in hooked.run("-c", statement).stdout
    statement = statement.replace(" http.server,", "")
    assert hooked.run("-c", statement).stdout == "['truststore_autoinject']\n"


def test_importing_ssl_registers_nothing_that_outlives_the_modules(hooked: Environment, stock: Environment) -> None:
    """A fork handler keeps the modules that it knows alive until the very end, and every program pays for that."""
    statement = (
        "import os; handlers = []; os.register_at_fork = lambda **more: handlers.append(more);"
        "import ssl; ssl.create_default_context(); print(len(handlers))"
    )
    assert hooked.run("-c", statement).stdout == stock.run("-c", statement).stdout


def test_importing_the_package_loads_no_ssl(hooked: Environment) -> None:
    statement = "import truststore, sys; print('ssl' in sys.modules, truststore.__version__)"
    assert hooked.run("-c", statement).stdout.startswith("False ")


def test_subprocesses_are_hooked(hooked: Environment) -> None:
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {WHO!r}], check=True)"
    assert hooked.run("-c", outer).stdout == HOOKED


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("imported_before", [False, True])
@pytest.mark.filterwarnings("default")
def test_multiprocessing_workers_are_hooked(
    method: str, imported_before: bool, hooked: Environment, tmp_path: pathlib.Path
) -> None:
    if sys.platform == "win32" and method != "spawn":
        missing(f"Windows has no {method}")
    file = program(
        tmp_path,
        f"""
        import multiprocessing
        {"import ssl" if imported_before else ""}

        def who(queue):
            import ssl
            queue.put((ssl.SSLContext.__module__, ssl.create_default_context().verify_mode.name))

        if __name__ == "__main__":
            context = multiprocessing.get_context({method!r})
            queue = context.Queue()
            worker = context.Process(target=who, args=(queue,))
            worker.start()
            print(*queue.get(timeout=30))
            worker.join()
        """,
    )
    assert hooked.run(file).stdout == "truststore._context CERT_REQUIRED\n"


# ---- the switches ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [(), ("-E",), ("-I",)])
@pytest.mark.parametrize("value", SPELLINGS_OF_YES)
def test_disable_leaves_the_standard_library_alone(
    value: str, options: tuple[str, ...], hooked: Environment, stock: Environment
) -> None:
    statement = "import ssl, sys; print(ssl.SSLContext.__module__, sorted(sys.modules))"
    done = hooked.run(*options, "-c", statement, TRUSTSTORE_DISABLE=value)
    assert done.stderr == ""
    without = done.stdout.replace("'truststore_autoinject', ", "")
    assert without != done.stdout
    assert without.replace("'encodings.utf_8_sig', ", "") == stock.run(*options, "-c", statement).stdout


@pytest.mark.parametrize("value", SPELLINGS_OF_NO)
def test_disable_wants_a_clear_yes(value: str, hooked: Environment) -> None:
    assert hooked.run("-c", WHO, TRUSTSTORE_DISABLE=value).stdout == HOOKED


def test_disabled_verifies_as_stock(hooked: Environment, url: str, private_ca: Authority) -> None:
    done = hooked.run("-c", VERDICTS, url, private_ca.file, TRUSTSTORE_DISABLE="1")
    assert done.stdout == "disabled NoneType ssl refused hello\n"


@pytest.mark.parametrize("first", ["", "import ssl", "import ssl; ssl.create_default_context()"])
def test_a_variable_that_the_program_sets_itself_counts_wherever_it_points(
    first: str, breakable: Environment, url: str, private_ca: Authority
) -> None:
    """An inherited one that points into the environment is the distribution's, and is ignored."""
    file = breakable.directory / "our-ca.pem"
    file.write_text(private_ca.pem)
    setting = f"{first}\nimport os; os.environ['SSL_CERT_FILE'] = {str(file)!r}\n"
    done = breakable.run("-c", setting + VERDICTS, url, private_ca.file)
    assert done.stdout == "injected NoneType truststore._context hello hello\n"
    done = breakable.run("-c", VERDICTS, url, private_ca.file, SSL_CERT_FILE=str(file))
    assert done.stdout == "injected NoneType truststore._context refused hello\n"


def test_a_variable_that_a_freezers_copy_of_ssl_sets_is_no_decision_of_the_program(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """cx_Freeze's does, when it is imported."""

    class Freezer:
        def exec_module(self, module: types.ModuleType) -> None:
            monkeypatch.setenv("SSL_CERT_FILE", "/frozen/certs.pem")

    inherited = {"SSL_CERT_FILE": None, "SSL_CERT_DIR": None}
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv("SSL_CERT_DIR", "/by/the/program/before")
    monkeypatch.setattr(truststore_autoinject, "inherited", inherited)
    monkeypatch.setattr(truststore_autoinject, "_inject", lambda: None)
    loader = truststore_autoinject._Loader(Freezer())
    module = types.ModuleType("ssl")
    module.__spec__ = importlib.machinery.ModuleSpec("ssl", loader)  # type: ignore[arg-type]
    loader.exec_module(module)
    assert inherited == {"SSL_CERT_FILE": "/frozen/certs.pem", "SSL_CERT_DIR": None}


def test_debug_tells_each_decision_on_a_line_of_stderr(hooked: Environment, url: str, private_ca: Authority) -> None:
    assert hooked.run("-c", "pass", TRUSTSTORE_DEBUG="1").stderr == ""  # nothing was decided yet
    done = hooked.run("-c", VERDICTS, url, private_ca.file, TRUSTSTORE_DEBUG="yes")
    assert done.stdout == "injected NoneType truststore._context refused hello\n"
    lines = done.stderr.splitlines()
    assert all(line.startswith("truststore: ") for line in lines)
    assert lines[0] == "truststore: injected into ssl"
    assert any(" trusts " in line for line in lines[1:])


def test_debug_says_why_the_hook_is_off(hooked: Environment) -> None:
    done = hooked.run("-c", WHO, TRUSTSTORE_DEBUG="1", TRUSTSTORE_DISABLE="on")
    assert (done.stdout, done.stderr) == (STOCK, "truststore: disabled by TRUSTSTORE_DISABLE=on\n")


@pytest.mark.parametrize("close", ["sys.stderr = None", "sys.stderr.close()"])
def test_debug_without_a_stderr_does_no_harm(close: str, hooked: Environment, url: str, private_ca: Authority) -> None:
    statement = f"import sys; {close}\n{VERDICTS}"
    done = hooked.run("-c", statement, url, private_ca.file, TRUSTSTORE_DEBUG="1")
    assert done.stdout == "injected NoneType truststore._context refused hello\n"


# ---- the order of things --------------------------------------------------------------------------------------------


def test_a_search_for_ssl_without_an_import_does_not_use_up_the_hook(hooked: Environment) -> None:
    statement = f"import importlib.util as u; u.find_spec('ssl'); u.find_spec('ssl'); {WHO}"
    assert hooked.run("-c", statement).stdout == HOOKED


def test_the_hook_leaves_no_trace_in_the_module_and_the_search_path(hooked: Environment, stock: Environment) -> None:
    statement = (
        "import ssl, sys; print(type(ssl.__spec__.loader), type(ssl.__loader__), ssl.__spec__.origin, ssl.__file__,"
        "ssl.__cached__ if hasattr(ssl, '__cached__') else '', [getattr(f, '__name__', f) for f in sys.meta_path])"
    )
    assert hooked.run("-c", statement).stdout == stock.run("-c", statement).stdout


def test_the_source_of_ssl_can_be_had_before_and_after_its_import(hooked: Environment) -> None:
    statement = (
        "import importlib.util as u; early = u.find_spec('ssl').loader.get_source('ssl');"
        "import ssl, inspect; print(early == inspect.getsource(ssl), 'class SSLContext' in early)"
    )
    assert hooked.run("-c", statement).stdout == "True True\n"


def test_activating_again_changes_nothing(hooked: Environment) -> None:
    statement = """
import sys, truststore_autoinject as hook
finders = list(sys.meta_path)
hook.activate()
assert sys.meta_path == finders and hook.state == "waiting"
import ssl
injected = ssl.SSLContext
hook.activate()
hook.activate()
assert ssl.SSLContext is injected and hook.state == "injected" and hook._finder not in sys.meta_path
import truststore
truststore.extract_from_ssl()
print(ssl.SSLContext.__module__, "_truststore" in vars(ssl.SSLContext))
"""
    assert hooked.run("-c", statement).stdout == "ssl False\n"


def test_ssl_imported_before_the_hook_is_injected_at_once(hooked: Environment) -> None:
    statement = f"{WHO}; import site; site.main(); {WHO}"
    assert hooked.run("-S", "-c", statement).stdout == STOCK + HOOKED


def test_threads_that_import_ssl_at_once_inject_it_once(hooked: Environment, tmp_path: pathlib.Path) -> None:
    file = program(
        tmp_path,
        """
        import threading
        import truststore_autoinject as hook

        injections = []
        inject = hook._inject
        def count():
            injections.append(threading.get_ident())
            inject()
        hook._inject = count

        barrier = threading.Barrier(8)
        seen = []
        def work():
            barrier.wait()
            import ssl
            seen.append(ssl.SSLContext.__module__)
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        print(len(injections), seen == ["truststore._context"] * 8, hook.state)
        """,
    )
    for _ in range(5):  # a race that is lost shows in one of them, most likely
        assert hooked.run(file).stdout == "1 True injected\n"


def test_reloading_ssl_takes_it_back_to_stock_without_breaking_contexts(hooked: Environment) -> None:
    statement = """
import importlib, ssl
old = ssl.create_default_context()
importlib.reload(ssl)
new = ssl.create_default_context()
for context in (old, new):
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.options |= ssl.OP_NO_TICKET
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    assert context.verify_mode == ssl.CERT_REQUIRED
print(ssl.SSLContext.__module__)
"""
    assert hooked.run("-c", statement).stdout in (HOOKED, STOCK)


# ---- other finders --------------------------------------------------------------------------------------------------

# As wrapt, lazy-import and instrumentation packages do: a finder that asks all finders, itself left out by a flag, then
# wraps the loader, and forgets about the module.
ONE_SHOT_FINDER = """
import importlib.util, sys
class OneShot:
    busy = False
    def find_spec(self, name, path=None, target=None):
        if name != "ssl" or self.busy:
            return None
        self.busy = True
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self.busy = False
        sys.meta_path.remove(self)
        if spec is not None and getattr(spec, "loader", None) is not None:
            spec.loader = Wrapped(spec.loader)
        return spec
class Wrapped:
    def __init__(self, loader):
        self.loader = loader
    def create_module(self, spec):
        return self.loader.create_module(spec)
    def exec_module(self, module):
        self.loader.exec_module(module)
        print("one-shot finder fired")
"""


@pytest.mark.parametrize("place", ["0", "len(sys.meta_path)", "1"])
@pytest.mark.parametrize("search_first", [False, True])
def test_lazy_finders_that_ask_all_finders_get_along(place: str, search_first: bool, hooked: Environment) -> None:
    search = "importlib.util.find_spec('ssl')\n" if search_first else ""
    statement = f"{ONE_SHOT_FINDER}\nsys.meta_path.insert({place}, OneShot())\n{search}{WHO}\n"
    done = hooked.run("-c", statement)
    assert done.stdout.endswith(HOOKED)
    if place == "0" and not search_first:
        assert done.stdout == "one-shot finder fired\n" + HOOKED


def test_several_lazy_finders_get_along(hooked: Environment) -> None:
    statement = f"{ONE_SHOT_FINDER}\nfor _ in range(3): sys.meta_path.insert(0, OneShot())\n{WHO}"
    done = hooked.run("-c", statement)
    assert done.stdout.endswith(HOOKED)
    assert done.stdout.count("fired") == 3


def test_a_lazily_loaded_ssl_is_hooked_when_it_is_used(hooked: Environment) -> None:
    """`importlib.util.LazyLoader`: the module is executed at the first access to one of its attributes."""
    statement = """
import importlib.util, sys
import truststore_autoinject as hook
spec = importlib.util.find_spec("ssl")
spec.loader = importlib.util.LazyLoader(spec.loader)
module = importlib.util.module_from_spec(spec)
sys.modules["ssl"] = module
spec.loader.exec_module(module)
print(hook.state)
import ssl
print(ssl.SSLContext.__module__, hook.state)
"""
    assert hooked.run("-c", statement).stdout == "waiting\ntruststore._context injected\n"


@pytest.mark.parametrize("trick", ["return None", "raise RuntimeError('broken finder')"])
def test_a_finder_that_hides_ssl_is_obeyed(trick: str, hooked: Environment) -> None:
    """Whatever other finders do to `import ssl` is done to it as if we were not there."""
    statement = f"""
import sys
class Hiding:
    def find_spec(self, name, path=None, target=None):
        if name == "ssl":
            {trick if "raise" in trick else "raise ModuleNotFoundError(name)"}
sys.meta_path.insert(0, Hiding())
try:
    import ssl
except (ImportError, RuntimeError) as error:
    print(type(error).__name__)
sys.meta_path.pop(0)
{WHO}
"""
    expected = "RuntimeError\n" if "raise" in trick else "ModuleNotFoundError\n"
    assert hooked.run("-c", statement).stdout == expected + HOOKED


# ---- other startup hooks --------------------------------------------------------------------------------------------


def test_the_startup_hooks_of_setuptools_and_coverage_get_along(
    new_environment: NewEnvironment, wheelhouse: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    environment = new_environment()
    environment.install_from(wheelhouse, "setuptools", "coverage")
    names = {path.name for path in environment.site_packages.glob("*.pth")}
    assert names >= {"truststore_autoinject.pth", "distutils-precedence.pth"}
    assert len(names) == 3  # coverage's is named differently from version to version
    assert environment.run("-c", WHO).stdout == HOOKED
    # coverage measures subprocesses by its startup file
    configuration = tmp_path / "coveragerc"
    configuration.write_text(f"[run]\ndata_file = {tmp_path / 'data'}\nparallel = true\n")
    file = program(tmp_path, f"{WHO}\nimport distutils\nprint(distutils.__file__)")
    done = environment.run(file, COVERAGE_PROCESS_START=str(configuration))
    assert done.stdout.startswith(HOOKED)
    assert "setuptools" in done.stdout
    assert list(tmp_path.glob("data.*"))


def test_the_startup_hook_of_virtualenv_gets_along(
    installer: Environment, wheel: pathlib.Path, wheelhouse: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    older = create(tmp_path / "older", installer, "--no-seed")
    older.install_from(wheelhouse, "virtualenv==20.29.3")
    older.run("-m", "virtualenv", "--quiet", "--no-seed", "--no-periodic-update", tmp_path / "made")
    environment = Environment(tmp_path / "made", installer)
    assert (environment.site_packages / "_virtualenv.pth").is_file()
    environment.install(wheel)
    assert environment.run("-c", WHO).stdout == HOOKED
    assert environment.run("-c", f"import importlib.util as u; u.find_spec('ssl'); {WHO}").stdout == HOOKED


# ---- what may be broken ---------------------------------------------------------------------------------------------


@pytest.fixture
def breakable(new_environment: NewEnvironment) -> Environment:
    """An environment with the wheel, for one test to damage."""
    return new_environment()


# Of the command line alone, which no other program imports.
COMMANDS = ("_commands", "_startup", "_pyinstaller")
# What every injection needs; most of the others matter to some connection only.
NEEDED = {"_inject.py", "_context.py", "_verify.py", "_trust.py", "_bundles.py", "_backends/openssl.py"}


def test_a_package_without_one_of_its_files_never_breaks_python(
    breakable: Environment, url: str, private_ca: Authority
) -> None:
    package = breakable.site_packages / "truststore"
    files = sorted(path for path in package.rglob("*") if path.suffix in (".py", ".typed"))
    files = [path for path in files if path.relative_to(package).parts[0] not in COMMANDS]
    assert len(files) > 10
    outcomes = {}
    for file in files:
        shutil.rmtree(file.parent / "__pycache__", ignore_errors=True)
        hidden = file.rename(file.with_name("hidden"))
        start = breakable.run("-c", "import ssl")
        assert (start.stdout, start.stderr) == ("", ""), file
        done = breakable.run("-c", VERDICTS, url, private_ca.file)
        assert done.stderr == "", file
        outcomes[file.relative_to(package).as_posix()] = done.stdout
        hidden.rename(file)
    injected = {name for name, outcome in outcomes.items() if outcome.startswith("injected ")}
    for name, outcome in outcomes.items():
        if name in injected:
            assert outcome == "injected NoneType truststore._context refused hello\n", name
        else:  # as stock, and the reason is kept
            state, failure, module, default, pinned = outcome.split()
            assert (state, default, pinned) == ("failed", "refused", "hello"), name
            assert module in ("ssl", "truststore._context"), name  # the latter where a context found that out
            assert failure in ("ImportError", "ModuleNotFoundError"), name
    assert NEEDED.isdisjoint(injected)
    assert injected >= {"__init__.py", "py.typed"}


def remove_everything(package: pathlib.Path) -> None:
    shutil.rmtree(package)


def keep_init_only(package: pathlib.Path) -> None:
    for path in package.iterdir():
        if path.name != "__init__.py":
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def empty_everything(package: pathlib.Path) -> None:
    for path in package.rglob("*.py"):
        path.write_text("")


def cut_everything(package: pathlib.Path) -> None:
    for path in package.rglob("*.py"):
        path.write_bytes(path.read_bytes()[:-40] + b"(")


def make_injection_raise(package: pathlib.Path) -> None:
    (package / "_inject.py").write_text("def inject_by_hook(*_):\n    raise RuntimeError('broken')\n")


def make_import_raise(package: pathlib.Path) -> None:
    (package / "_context.py").write_text("1 / 0\n")


def put_a_file_there(package: pathlib.Path) -> None:
    shutil.rmtree(package)
    package.write_text("not a directory")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (remove_everything, "ModuleNotFoundError"),
        (keep_init_only, "ImportError"),
        (empty_everything, "ImportError"),
        (cut_everything, "SyntaxError"),
        (make_injection_raise, "RuntimeError"),
        (make_import_raise, "ZeroDivisionError"),
        (put_a_file_there, "ModuleNotFoundError"),
    ],
)
def test_a_broken_package_leaves_python_silent_and_stock(
    damage: object, reason: str, breakable: Environment, url: str, private_ca: Authority
) -> None:
    damage(breakable.site_packages / "truststore")  # type: ignore[operator]
    start = breakable.run("-c", "import ssl")
    assert (start.stdout, start.stderr) == ("", "")
    done = breakable.run("-c", VERDICTS, url, private_ca.file)
    state, failure, *verdicts = done.stdout.split()
    assert (state, verdicts) == ("failed", ["ssl", "refused", "hello"])
    assert failure == reason or issubclass(getattr(__import__("builtins"), failure), ImportError)
    # TRUSTSTORE_DEBUG tells it
    told = breakable.run("-c", "import ssl", TRUSTSTORE_DEBUG="1").stderr
    assert re.fullmatch(rf"truststore: not injected, .*{failure}\(.*\n", told)


def test_a_startup_line_without_its_module_is_what_no_uninstallation_leaves(
    new_environment: NewEnvironment, wheel: pathlib.Path
) -> None:
    """`site` itself prints an error then, which nothing of ours can prevent: so both must go together."""
    environment = new_environment()
    environment.uninstall("truststore-auto")
    assert not list(environment.site_packages.glob("truststore_autoinject*"))


@pytest.mark.parametrize("name", ["ssl", "_ssl"])
def test_a_python_without_ssl_is_left_as_it_is(name: str, breakable: Environment, stock: Environment) -> None:
    (breakable.site_packages / "sitecustomize.py").write_text(f"import sys\nsys.modules[{name!r}] = None\n")
    start = breakable.run("-c", "pass")
    assert (start.stdout, start.stderr) == ("", "")
    statement = f"""
import sys
sys.modules[{name!r}] = None
for _ in range(2):
    try:
        import ssl
    except ImportError as error:
        print(type(error).__name__, error, "ssl" in sys.modules and sys.modules["ssl"] is not None)
import urllib.request
"""
    done = breakable.run("-c", statement)
    assert (done.stdout, done.stderr) == (stock.run("-c", statement).stdout, "")
    report = "import truststore_autoinject as hook; print(hook.state, hook.failure is None)"
    after = breakable.run("-c", f"{statement}\n{report}").stdout.splitlines()[-1]
    assert after == ("waiting True" if name == "ssl" else "failed False")


def test_an_ssl_that_no_finder_finds_is_left_to_the_import_system(breakable: Environment) -> None:
    """A build without the file ssl.py, as some embedded Pythons are."""
    (breakable.site_packages / "sitecustomize.py").write_text(
        textwrap.dedent("""
        import sys
        from importlib.machinery import PathFinder
        class Without(PathFinder):
            @classmethod
            def find_spec(cls, name, path=None, target=None):
                return None if name == "ssl" else super().find_spec(name, path, target)
        sys.meta_path[sys.meta_path.index(PathFinder)] = Without
        """)
    )
    statement = """
import truststore_autoinject as hook
try:
    import ssl
except ModuleNotFoundError as error:
    print(error, hook.state)
"""
    done = breakable.run("-c", statement)
    assert (done.stdout, done.stderr) == ("No module named 'ssl' waiting\n", "")


def test_an_ssl_that_truststore_does_not_know_is_left_alone(breakable: Environment) -> None:
    """Without the private names that the door needs, verification must be the standard library's, not half ours."""
    statement = """
import _ssl
class WithoutTheDoor(type):
    def __getattribute__(cls, name):
        if name == "_wrap_bio":
            raise AttributeError(name)
        return super().__getattribute__(name)
_ssl._SSLContext = WithoutTheDoor("_SSLContext", (_ssl._SSLContext,), {})
import ssl
import truststore_autoinject as hook
print(hook.state, type(hook.failure).__name__, ssl.SSLContext.__module__)
"""
    assert breakable.run("-c", statement).stdout == "failed ImportError ssl\n"


def test_an_interruption_during_the_import_of_ssl_is_not_swallowed(breakable: Environment) -> None:
    (breakable.site_packages / "truststore" / "_inject.py").write_text("raise KeyboardInterrupt\n")
    done = breakable.run("-c", "import ssl", check=False)
    assert done.returncode != 0
    assert "KeyboardInterrupt" in done.stderr


def test_libraries_come_after_the_wheel(with_libraries: Environment) -> None:
    """What other test modules rely on: they see the installed wheel, and the libraries beside pytest."""
    statement = "import truststore, requests; print(truststore.__file__)"
    found = pathlib.Path(with_libraries.run("-c", statement).stdout.strip())
    assert found.is_relative_to(with_libraries.site_packages)
