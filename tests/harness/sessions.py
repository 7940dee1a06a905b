"""Terminal sessions in the documentation, captured from the commands as they are.

    python -m harness.sessions        # with tests/ on the path: writes them anew

In a page, a session stands in the code block behind a line `<!-- session: NAME -->`. `tests/cli/test_sessions.py`
captures them again and compares, apart from what differs from one machine and one day to the next (`settled`).
"""

from __future__ import annotations

import contextlib
import io
import os
import pathlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from unittest import mock

from harness import peers
from harness.environment import CERTIFICATE_VARIABLES, clean_environment
from harness.injection import injection
from harness.issuing import NOW, Issued, intermediate, issue, root, server_context
from truststore._backends import openssl
from truststore._backends.openssl import Store
from truststore._cli import main

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs"
_BLOCK = re.compile(r"(<!-- session: ([\w-]+) -->\n```console\n)(.*?)(```\n)", re.DOTALL)

_STORE = "/etc/ssl/certs/ca-certificates.crt"  # what stands in the pages for the file of this process


class Stage:
    """A company with a CA in its system store, and a proxy through which all its hosts are reached."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        valid = {"first": _day(2026, 1, 1) - NOW, "last": _day(2036, 1, 1) - NOW}
        self.root = root("Example Company Root CA", organization="Example Company", **valid)
        self.ca = intermediate(self.root, "Example Company CA 1", organization="Example Company", **valid)
        inspector = root("Zscaler Root CA", organization="Zscaler Inc.", **valid)
        url = "http://ca.example.com/company-ca-1.crt"
        good = issue(self.ca, "intranet.example.com", "intranet.example.com", ca_issuers=url, **valid)
        incomplete = issue(self.ca, "incomplete.example.com", "incomplete.example.com", ca_issuers=url, **valid)
        expired = issue(
            self.ca, "old.example.com", "old.example.com", first=valid["first"], last=_day(2026, 3, 1) - NOW
        )
        self.chains: dict[str, tuple[Issued, list[bytes]]] = {
            "intranet.example.com": (good, good.chain),
            "incomplete.example.com": (incomplete, incomplete.chain[:1]),
            "old.example.com": (expired, expired.chain),
            "wiki.example.com": (good, good.chain),
        }
        inspected = issue(inspector, "www.example.com", "www.example.com", **valid)
        self.chains["www.example.com"] = (inspected, [inspected.der, inspector.der])
        self.bundle = directory / "ca-certificates.crt"
        self.bundle.write_text(self.root.pem)
        when = _day(2026, 10, 1).timestamp()
        os.utime(self.bundle, (when, when))
        (directory / "chain.pem").write_text(good.pem + self.ca.pem)

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        """The hook is active, the store holds the company's root, and HTTPS_PROXY leads to the hosts."""
        store = Store("OpenSSL's compiled-in paths", files=[str(self.bundle)], bundle=str(self.bundle))
        with contextlib.ExitStack() as stack:
            ports = {
                name: stack.enter_context(peers.peer(peers.speaking_tls(server_context(leaf, self.directory, chain))))
                for name, (leaf, chain) in self.chains.items()
            }
            proxy = stack.enter_context(peers.peer(peers.proxy(b"200 OK", [], ports)))
            variables = {"HTTPS_PROXY": f"http://127.0.0.1:{proxy}", "XDG_CACHE_HOME": str(self.directory)}
            stack.enter_context(mock.patch.dict(os.environ, variables))
            for name in (*CERTIFICATE_VARIABLES, "NO_PROXY", "no_proxy", "https_proxy", "all_proxy"):
                os.environ.pop(name, None)
            stack.enter_context(mock.patch.object(openssl, "_system_store", store))
            stack.enter_context(injection(by_hook=True))
            stack.enter_context(
                contextlib.chdir(self.directory) if hasattr(contextlib, "chdir") else _in(self.directory)
            )
            yield

    def shown(self, text: str) -> str:
        """`text` with the names that a reader knows in place of this process's."""
        text = text.replace(str(self.bundle), _STORE).replace(str(self.directory), "/root/.cache")
        return re.sub(r"127\.0\.0\.1:\d+ \(the proxy\)", "192.0.2.10:3128 (the proxy)", text)


@contextlib.contextmanager
def _in(directory: pathlib.Path) -> Iterator[None]:
    """`contextlib.chdir` of Python 3.11."""
    before = pathlib.Path.cwd()
    os.chdir(directory)
    try:
        yield
    finally:
        os.chdir(before)


def _day(year: int, month: int, day: int) -> datetime:
    return datetime(year, month, day, tzinfo=timezone.utc)


SESSIONS: dict[str, list[str]] = {
    "status": ["status"],
    "check-trusted": ["check", "intranet.example.com"],
    "check-expired": ["check", "old.example.com"],
    "check-missing-intermediate": ["check", "incomplete.example.com"],
    "check-wrong-name": ["check", "wiki.example.com"],
    "check-inspection": ["check", "www.example.com"],
    "check-json": ["check", "old.example.com", "--json"],
    "explain": ["explain", "chain.pem", "--name", "intranet.example.com"],
    "export": ["export", "-o", "roots.pem"],
    "env": ["env"],
    "env-powershell": ["env", "--shell", "powershell"],
    "help": ["--help"],
    "check-help": ["check", "--help"],
    "image-help": ["image", "--help"],
    "sitedir-help": ["sitedir", "--help"],
}


def capture() -> dict[str, str]:
    """Every session: the command line, what it writes to stdout and stderr, and its exit code."""
    with tempfile.TemporaryDirectory() as directory:
        stage = Stage(pathlib.Path(directory).resolve())
        with stage.open(), mock.patch.dict(os.environ, {"COLUMNS": "100"}):
            return {name: _session(stage, arguments) for name, arguments in SESSIONS.items()}


def _session(stage: Stage, arguments: list[str]) -> str:
    if arguments[0] == "status":
        return _status_session(stage, arguments)
    written = io.StringIO()
    with contextlib.redirect_stdout(written), contextlib.redirect_stderr(written):
        code = main(arguments)
    command = " ".join(["python -m truststore", *arguments])
    return f"$ {command}\n{stage.shown(written.getvalue())}$ echo $?\n{code}\n"


def _status_session(stage: Stage, arguments: list[str]) -> str:
    """As an interpreter of its own sees it, in whose environment truststore-auto is installed."""
    done = subprocess.run(
        [sys.executable, "-m", "truststore", *arguments],
        env=clean_environment(),
        cwd=stage.directory,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    shown = done.stdout.replace(sys.prefix, "/opt/app/env") + done.stderr
    return f"$ python -m truststore {' '.join(arguments)}\n{shown}$ echo $?\n{done.returncode}\n"


# What differs from one machine, Python or day to the next, and what stands for it when sessions are compared.
_VOLATILE: list[tuple[str, str | Callable[[re.Match[str]], str]]] = [
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "TIME"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", "TIME"),
    (r"expired \d+ \w+ ago", "expired LONG ago"),
    (r"certifi( in pip)? \d[\d.]*", "certifi VERSION"),
    (r"\broots \(\d+\)", "roots (N)"),
    (r"(roots +)\d+, unchanged since \S+", r"\1N, unchanged since TIME"),
    (r"verifier +OpenSSL with [^\n]*", "verifier STORE"),
    (r"CPython \d[\w.+]*", "CPython VERSION"),
    (r"OpenSSL +OpenSSL [^\n]*", "OpenSSL VERSION"),
    (r"truststore-auto \d[\w.]*", "truststore-auto VERSION"),
    (r"lib/python3\.\d+/", "lib/pythonVERSION/"),
    (r"(bin/python|Scripts/python)[\w.]*", "PYTHON"),
    (r'"(roots|serial|sha256)": ("\w+"|\d+)', r'"\1": N'),
    (r"with stock Python: OpenSSL with .*?(?=\n\S|\n  \S|\n\n)", "with STOCK"),
    (r'"with": "stock Python: [^"]*"', '"with": STOCK'),
    (r'"with": "certifi[^"]*"', '"with": CERTIFI'),
    (r"To add it: [^$]*?(?=\n  see)", "To add it: HOW"),
    (r"TLS_\w+", "CIPHER"),
    (r"\(the proxy\), TLSv1\.[23]", "(the proxy), VERSION"),
    (r"\s+", " "),  # the lines break elsewhere, if a word above is longer
]


def settled(session: str) -> str:
    """`session` without what may differ."""
    for pattern, replacement in _VOLATILE:
        session = re.sub(pattern, replacement, session, flags=re.DOTALL)
    return session


def written() -> dict[str, tuple[pathlib.Path, str]]:
    """The sessions that stand in the pages: the page and the text, by name."""
    found = {}
    for page in sorted(DOCS.rglob("*.md")):
        for match in _BLOCK.finditer(page.read_text(encoding="utf-8")):
            found[match[2]] = (page, match[3])
    return found


def write() -> None:
    """Replace every session in the pages by what the commands say now."""
    now = capture()
    for page in sorted(DOCS.rglob("*.md")):
        text = page.read_text(encoding="utf-8")
        page.write_text(_BLOCK.sub(lambda match: match[1] + now[match[2]] + match[4], text), encoding="utf-8")


if __name__ == "__main__":
    write()
    sys.exit(0)
