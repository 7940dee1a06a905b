"""`status`: is the hook active in this interpreter, what decides, and what changes that?"""

from __future__ import annotations

import json
import os
import platform
import ssl
import stat
import sys
from datetime import datetime, timezone

from truststore import _explain, _oracle
from truststore._cli import NO, YES
from truststore._commands import conflicts, terminal
from truststore._version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any

    from truststore._commands.terminal import Paper

HAS_JSON = True
EXAMPLES = """\
  python -m truststore status
  python -m truststore status --json
"""

SCHEMA = 1
_STARTUP_FILES = ("truststore_autoinject.pth", "truststore_autoinject.start")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It takes none."""


def run(arguments: argparse.Namespace) -> int:
    found = gather()
    if arguments.json:
        terminal.write(sys.stdout, json.dumps(found, indent=2) + "\n")
    else:
        _print(found, terminal.Paper(sys.stdout))
    return YES if found["active"] else NO


def gather() -> dict[str, Any]:
    """Everything that `status` says, as documented in docs/reference/command-line.md."""
    hook = _hook()
    return {
        "schema": SCHEMA,
        "active": hook["active"],
        "hook": hook,
        "verifier": _verifier(),
        "variables": _variables(),
        "conflicts": [
            {"subject": it.subject, "effect": it.effect, "remedy": it.remedy, "serious": it.serious}
            for it in conflicts.found()
        ],
        "interpreter": _interpreter(),
    }


# ---- the hook -------------------------------------------------------------------------------------------------------


def _hook() -> dict[str, Any]:
    startup: Any = sys.modules.get("truststore_autoinject")
    state = getattr(startup, "state", "not started")
    ours = _is_ours(ssl.SSLContext)
    by_program = bool(getattr(sys.modules.get("truststore._context"), "injected_by_program", False))
    files = _own_startup_files()
    why = None if ours and state == "injected" else _why_not(state, startup, files, ours)
    return {
        "active": ours,
        "state": state,
        "why_not": None if ours else why,
        "injected_by_program": by_program,
        "startup_files": files,
        "class": f"{ssl.SSLContext.__module__}.{ssl.SSLContext.__qualname__}",
        "came_before": _came_before(),
    }


def _is_ours(cls: type) -> bool:
    return any(base.__module__ == "truststore._context" for base in cls.__mro__)


def _why_not(state: str, startup: Any, files: list[str], ours: bool) -> str:
    """Why our class does not stand in `ssl`."""
    if state == "disabled":
        return f"TRUSTSTORE_DISABLE={os.environ.get('TRUSTSTORE_DISABLE', '')} switches it off"
    if state == "failed":
        return f"it failed: {type(startup.failure).__name__}: {startup.failure}"
    if state == "injected":
        cls = ssl.SSLContext
        return f"it was active, but {cls.__module__}.{cls.__qualname__} stands in ssl now: somebody took it out again"
    if state in ("waiting", "unsupported"):
        return f"it is {state}, and `ssl` was imported all the same: another import hook came first"
    if sys.flags.no_site:
        return "Python was started with -S, which runs no startup file"
    if not files:
        return _why_no_file()
    hidden = [path for path in files if _is_hidden(path)]
    if hidden:
        return f"{hidden[0]} is hidden, and Python 3.13 and later skip hidden startup files"
    return f"{files[0]} was not run: it may have been installed after this interpreter started, or not be readable"


def _why_no_file() -> str:
    """Why there is no startup file in the directories that `site` reads."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    folder = os.path.dirname(package)
    beside = [name for name in _STARTUP_FILES if os.path.isfile(os.path.join(folder, name))]
    if beside:
        return (
            f"{os.path.join(folder, beside[0])} lies in a directory that is no site directory of this interpreter (a "
            "source tree, PYTHONPATH or --target): install truststore-auto into the environment"
        )
    name = " or ".join(_STARTUP_FILES)
    return f"no {name} in {', '.join(_site_directories()) or 'any site directory'}: install truststore-auto again"


def _site_directories() -> list[str]:
    import site

    user = [site.getusersitepackages()] if site.ENABLE_USER_SITE else []
    return list(dict.fromkeys([*site.getsitepackages(), *user]))


def _own_startup_files() -> list[str]:
    if sys.flags.no_site:
        return []
    return [path for path in conflicts.startup_files() if os.path.basename(path) in _STARTUP_FILES]


def _is_hidden(path: str) -> bool:
    """As `site` of Python 3.13 judges it (Lib/site.py, addpackage)."""
    try:
        status = os.lstat(path)
    except OSError:
        return False
    flags, attributes = getattr(status, "st_flags", 0), getattr(status, "st_file_attributes", 0)
    return bool(flags & stat.UF_HIDDEN or attributes & stat.FILE_ATTRIBUTE_HIDDEN)


def _came_before() -> str | None:
    """Another injector's class that stood in `ssl` when ours was put there."""
    inject: Any = sys.modules.get("truststore._inject")
    for module, name, previous in getattr(inject, "_replaced", ()):
        if module is ssl and name == "SSLContext" and previous is not _oracle.Standard:
            return f"{previous.__module__}.{previous.__qualname__}"
    return None


# ---- what decides ---------------------------------------------------------------------------------------------------


def _verifier() -> dict[str, Any]:
    try:
        from truststore._commands import deciders

        decider = deciders.this_python()
    except Exception as error:  # status must answer when everything else is broken
        problems = [f"{type(error).__name__}: {error}"]
        return {"name": None, "roots": 0, "problems": problems, "hint": None, "unchanged_since": None}
    store = decider.store
    return {
        "name": decider.name,
        "kind": "system" if decider.verifier is not None else "openssl",
        "directory": store.directory if store is not None else None,
        "files": list(store.files) if store is not None else [],
        "from_environment": bool(store is not None and store.from_environment),
        "roots": len(decider.roots),
        "unreadable": decider.roots.unreadable,
        "unchanged_since": _unchanged_since(store),
        "problems": list(store.problems) if store is not None else [],
        "hint": _explain.TOPICS[_without_roots(store)].hint if not len(decider.roots) and store is not None else None,
    }


def _without_roots(store: Any) -> str:
    """The topic of a store that has none."""
    return "trust-variable" if store.from_environment else "no-store"


def _unchanged_since(store: Any) -> str | None:
    """The last time at which something was written to the store, in UTC."""
    if store is None:
        return None
    places = [*store.files, *([store.bundle] if store.bundle else []), *(store.directory or "").split(os.pathsep)]
    times = []
    for place in places:
        try:
            times.append(os.stat(place).st_mtime)
        except (OSError, ValueError):
            continue
    return datetime.fromtimestamp(max(times), timezone.utc).isoformat(timespec="seconds") if times else None


# ---- variables ------------------------------------------------------------------------------------------------------

# (variable, what it does if it is set). The first ones decide about every connection, the rest about one library's.
_EFFECTS = (
    ("TRUSTSTORE_DISABLE", "the hook does nothing, if it says 1, true, yes or on"),
    ("SSL_CERT_FILE", "OpenSSL verifies with this file instead of the system's bundle; a directory counts as before"),
    ("SSL_CERT_DIR", "OpenSSL verifies with this directory instead of the system's; a bundle counts as before"),
    ("TRUSTSTORE_EXTRA_CA_CERTS", "these certificates are trusted besides the system store"),
    ("TRUSTSTORE_KEEP_BUNDLED", "bundles such as certifi's are trusted besides the system store"),
    ("TRUSTSTORE_STRICT", "VERIFY_X509_STRICT is honoured for the system store's roots, too"),
    ("TRUSTSTORE_DEBUG", "each decision is told on stderr"),
    ("REQUESTS_CA_BUNDLE", "requests trusts this file or directory only"),
    ("CURL_CA_BUNDLE", "requests trusts this file only, unless REQUESTS_CA_BUNDLE is set"),
    ("AWS_CA_BUNDLE", "boto3 and the AWS CLI trust this file only"),
    ("HTTPLIB2_CA_CERTS", "httplib2 and Google's API client trust this file only"),
    ("PIP_CERT", "pip trusts this file, besides its own certificates"),
    ("OPENSSL_CONF", "OpenSSL's configuration: it may change the security level"),
)


_PINS = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE", "HTTPLIB2_CA_CERTS", "PIP_CERT")
_OWN_BUNDLE = "the system's own bundle: it stands for the system store"


def _is_own_bundle(path: str) -> bool:
    from truststore._backends import openssl

    own = openssl.system_store().bundle
    return own is not None and os.path.realpath(own) == os.path.realpath(path)


def _variables() -> list[dict[str, Any]]:
    found = []
    for name, effect in _EFFECTS:
        value = os.environ.get(name)
        if value is not None:
            effect = _OWN_BUNDLE if name in _PINS and _is_own_bundle(value) else effect
            found.append({"name": name, "value": value, "effect": effect, "problem": _problem(name, value)})
    return found


def _problem(name: str, value: str) -> str | None:
    if name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        from truststore._backends import openssl

        if name in openssl.ignored_variables():
            return "ignored: it points into the interpreter's own distribution, which set it, not the administrator"
    if name in ("SSL_CERT_FILE", *_PINS, "OPENSSL_CONF"):
        missing = [] if os.path.exists(value) else [value]
    elif name in ("SSL_CERT_DIR", "TRUSTSTORE_EXTRA_CA_CERTS"):
        missing = [path for path in value.split(os.pathsep) if not os.path.exists(path)]
    else:
        missing = []
    return f"does not exist: {', '.join(missing) or '(empty)'}" if missing else None


def _interpreter() -> dict[str, Any]:
    flags = {"-I": sys.flags.isolated, "-E": sys.flags.ignore_environment, "-S": sys.flags.no_site}
    return {
        "executable": sys.executable,
        "implementation": platform.python_implementation(),
        "version": platform.python_version(),
        "prefix": sys.prefix,
        "venv": sys.prefix != sys.base_prefix,
        "options": [option for option, given in flags.items() if given],
        "openssl": ssl.OPENSSL_VERSION,
        "truststore_auto": __version__,
    }


# ---- text -----------------------------------------------------------------------------------------------------------


def _print(found: dict[str, Any], paper: Paper) -> None:
    hook, verifier, interpreter = found["hook"], found["verifier"], found["interpreter"]
    verdict = paper.styled("active", "good") if found["active"] else paper.styled("NOT ACTIVE", "bad")
    if found["active"] and not verifier["roots"]:
        verdict += ", and " + paper.styled("no root is trusted: see what decides", "bad")
    paper.line(paper.styled(f"truststore-auto {interpreter['truststore_auto']}:", "strong"), verdict)
    _print_hook(hook, paper)
    paper.heading("what decides")
    paper.field("verifier", verifier["name"] or "unknown")
    since = f", unchanged since {verifier['unchanged_since']}" if verifier["unchanged_since"] else ""
    paper.field("roots", f"{verifier['roots']}{since}", None if verifier["roots"] else "bad")
    for problem in verifier["problems"]:
        paper.field("problem", problem, "warn")
    if verifier["hint"]:
        paper.field("hint", verifier["hint"])
    paper.heading("variables that change it")
    for variable in found["variables"]:
        paper.line(f"  {_explain.printable(variable['name'])}={_explain.printable(variable['value'])}")
        paper.note(variable["problem"] or variable["effect"])
    if not found["variables"]:
        paper.line("  none is set")
    _print_conflicts(found["conflicts"], paper)
    paper.heading("interpreter")
    version = f"{interpreter['implementation']} {interpreter['version']} {' '.join(interpreter['options'])}".rstrip()
    paper.field("Python", f"{version}{' in a virtual environment' if interpreter['venv'] else ''}")
    paper.field("at", interpreter["executable"])
    paper.field("OpenSSL", interpreter["openssl"])


def _print_hook(hook: dict[str, Any], paper: Paper) -> None:
    if hook["why_not"]:
        paper.field("because", hook["why_not"], "warn")
        paper.note("TLS is verified as the standard library does it, without us")
    elif hook["state"] == "injected":
        paper.field("by", hook["startup_files"][0] if hook["startup_files"] else "a startup file outside of site")
    else:
        paper.field("by", "the program, which called inject_into_ssl()")
    if hook["came_before"]:
        paper.field("before us", f"{hook['came_before']} stood in ssl already: another injector came first", "warn")


def _print_conflicts(found: list[dict[str, Any]], paper: Paper) -> None:
    paper.heading("conflicts")
    for conflict in found:
        paper.line(f"  {paper.styled(conflict['subject'], 'warn' if conflict['serious'] else 'faint')}")
        paper.note(conflict["effect"])
        paper.note(f"mend: {conflict['remedy']}")
    if not found:
        paper.line("  none")
