"""Shows on this machine, offline, what truststore-auto does: `python demo/run.py`.

It plays a company that inspects TLS. A web server on loopback shows a certificate of a CA that only the system's trust
store knows: the CA stands in a copy of the system's bundle, which is put over the real one for the client processes
alone (in a mount namespace of their own), or, where that is not allowed, which SSL_CERT_FILE names. Five unmodified
programs talk to that server, with the hook off and on, and to a second server whose CA nobody knows. Nothing outside a
temporary directory is changed. The exit status is 0 if the hook keeps its promise, 1 if not, 2 if something is missing.
"""

from __future__ import annotations

import contextlib
import http.server
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

CLIENTS = Path(__file__).parent / "clients"
PACKAGE = "truststore_demo_package"
WHEEL = f"{PACKAGE}-1.0-py3-none-any.whl"
CERTIFICATE_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE")
TIMEOUT = 60  # seconds for one client


def main() -> int:
    try:
        import trustme

        import truststore_autoinject
    except ImportError as error:
        print(f"{error}. Install this project with its demo extra first: pip install '.[demo]'", file=sys.stderr)
        return 2
    if truststore_autoinject.state not in ("waiting", "injected"):
        reason = truststore_autoinject.failure or truststore_autoinject.state
        print(f"The hook is not active in {sys.executable}: {reason}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        company, stranger = trustme.CA(organization_name="Example Company"), trustme.CA(organization_name="Nobody")
        with server(company, directory) as inspected, server(stranger, directory) as unknown:
            clients = Clients(directory, company.cert_pem.bytes())
            return report(clients, inspected, unknown)


def report(clients: Clients, inspected: str, unknown: str) -> int:
    """Run everything, print the table, and say whether the promise holds."""
    print(f"Python {sys.version.split()[0]}, {ssl.OPENSSL_VERSION}")
    print(f"The company's CA is known to the system store only: {clients.where}\n")
    print(f"{'unmodified program':<20}{'hook off':<12}{'hook on':<12}{'hook on, CA unknown to all':<28}")
    kept = True
    for client in clients.names():
        off = clients.run(client, inspected, TRUSTSTORE_DISABLE="1")
        on, refused = clients.run(client, inspected), clients.run(client, unknown)
        print(f"{client:<20}{off:<12}{on:<12}{refused:<28}")
        kept = kept and on == "ok" and refused == "refused"
    print(f"\n{PROMISE_KEPT if kept else PROMISE_BROKEN}\n\n{UNDO}")
    return 0 if kept else 1


PROMISE_KEPT = "With the hook, every program trusts what the system trusts, and nothing else."
PROMISE_BROKEN = "THE PROMISE DOES NOT HOLD HERE: with the hook on, all must be 'ok', and then 'refused'."
UNDO = """To undo:
  one process      TRUSTSTORE_DISABLE=1 python ...    (then it is exactly the Python that you had)
  the environment  pip uninstall truststore-auto
  this demo        it has removed its temporary files; nothing else was changed"""


class Clients:
    """Runs programs as a user would, where the system store knows one CA more."""

    def __init__(self, directory: Path, ca: bytes) -> None:
        self._directory = directory
        bundle = self._bundle()
        self._store = directory / "system-store.pem"
        self._store.write_bytes((bundle.read_bytes() if bundle else b"") + ca)
        (directory / "empty").mkdir()
        self._prefix = self._own_mounts(bundle)
        self.where = f"{bundle}, in a mount namespace of its own" if self._prefix else "through SSL_CERT_FILE"

    def names(self) -> list[str]:
        scripts = {path.stem.removesuffix("_client"): path for path in CLIENTS.glob("*_client.py")}
        return [name for name in ("urllib", "requests", "httpx", "aiohttp") if name in scripts] + ["pip"]

    def run(self, client: str, url: str, **variables: str) -> str:
        """`ok`, `refused` (the certificate was), or `failed`, with the output on stderr."""
        if client == "pip":
            command = ["-m", "pip", "download", "--no-deps", "--no-cache-dir", "--retries", "0"]
            command += ["--index-url", f"{url}simple/", "-d", tempfile.mkdtemp(dir=self._directory), PACKAGE]
        else:
            command = [str(CLIENTS / f"{client}_client.py"), url]
        result = subprocess.run(
            [*self._prefix, sys.executable, *command],
            env=self._environment() | variables,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )
        if result.returncode == 0:
            return "ok"
        if "CERTIFICATE_VERIFY_FAILED" in result.stderr + result.stdout:
            return "refused"
        print(result.stdout + result.stderr, file=sys.stderr)
        return "failed"

    def _environment(self) -> dict[str, str]:
        ours = ("TRUSTSTORE_", "PIP_", "PYTHON")
        kept = {
            name: value
            for name, value in os.environ.items()
            if name not in CERTIFICATE_VARIABLES and not name.startswith(ours) and not name.lower().endswith("_proxy")
        }
        kept |= {"PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        if not self._prefix:
            kept |= {"SSL_CERT_FILE": str(self._store), "SSL_CERT_DIR": str(self._directory / "empty")}
        return kept

    @staticmethod
    def _bundle() -> Path | None:
        """The system's bundle, if it has one that clients of this interpreter look at."""
        from truststore._backends import openssl

        bundle = openssl.system_store().bundle
        return Path(bundle).resolve() if bundle else None

    def _own_mounts(self, bundle: Path | None) -> list[str]:
        """The command prefix that shows `_store` in the place of `bundle`, or nothing where that is not allowed."""
        if bundle is None or shutil.which("unshare") is None:
            return []
        user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        script = 'mount --bind "$0" "$1" && shift && exec "$@"'
        prefix = ["unshare", *user, "--mount", "sh", "-c", script, str(self._store), str(bundle)]
        works = subprocess.run([*prefix, "true"], capture_output=True).returncode == 0
        return prefix if works else []


class Handler(http.server.SimpleHTTPRequestHandler):
    """Says hello, and is a package index with one package."""

    def do_GET(self) -> None:
        if self.path == f"/{WHEEL}":
            body, kind = wheel(), "application/octet-stream"
        elif self.path.startswith("/simple/"):
            body, kind = f'<!doctype html><a href="/{WHEEL}">{WHEEL}</a>'.encode(), "text/html"
        else:
            body, kind = b"hello", "text/plain"
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    context: ssl.SSLContext

    def finish_request(self, request: object, client_address: object) -> None:
        # The handshake belongs into the connection's own thread; a client that refuses us is no news.
        with contextlib.suppress(OSError), self.context.wrap_socket(request, server_side=True) as tls:  # type: ignore[arg-type]
            self.RequestHandlerClass(tls, client_address, self)  # type: ignore[arg-type]


@contextlib.contextmanager
def server(authority: object, directory: Path) -> Iterator[str]:
    """An HTTPS server on loopback with a certificate of `authority`; yields its URL."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)  # type: ignore[attr-defined]
    web = Server(("127.0.0.1", 0), Handler)
    web.context = context
    threading.Thread(target=web.serve_forever, daemon=True).start()
    try:
        yield f"https://localhost:{web.server_address[1]}/"
    finally:
        web.shutdown()
        web.server_close()


def wheel() -> bytes:
    """The smallest wheel that pip takes."""
    import io

    files = {
        f"{PACKAGE}.py": "",
        f"{PACKAGE}-1.0.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {PACKAGE}\nVersion: 1.0\n",
        f"{PACKAGE}-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{PACKAGE}-1.0.dist-info/RECORD": "",
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return buffer.getvalue()


if __name__ == "__main__":
    sys.exit(main())
