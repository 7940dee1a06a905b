"""The clients of the compatibility matrix, and how one of them is run and judged.

A client is a program in `tests/matrix/clients/` that knows nothing of this project. What is asserted about it comes
from both ends: it ended well and the server got its bytes, or it failed on the certificate and the server got none.
"""

from __future__ import annotations

import os
import pathlib
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from harness.environments import Environment
from harness.situations import CERTIFI_ONLY, HELLO, SITUATIONS, TRUSTED, UNKNOWN_CA, Site

# Every client, or the quick choice.
FULL = os.environ.get("TRUSTSTORE_MATRIX") == "full"

Record = Callable[..., None]  # keeps a row of a table for the compatibility page

PROGRAMS = pathlib.Path(__file__).resolve().parents[1] / "matrix" / "clients"

REACHED, REFUSED = "reached", "refused"

# Whose roots a client trusts without the hook; with it, all but `OWN` trust the system's alone.
SYSTEM, BUNDLE, BOTH, NOTHING, PIN = "system store", "bundle", "both", "nothing", "pin"
ADDED = "system store and a CA of its own"

# What a verifier's complaint always has in it. Nothing is concluded from the rest of the wording.
_COMPLAINTS = ("certificate", "unknownissuer", "hostname mismatch", "alert unknown ca", "handshake failed")


class Client:
    """One program. `trusts` is whose roots it trusts by itself; `own_tls` says that it does not use Python's `ssl`.

    `helped_by` is the variable, and what it is set to, by which such a program trusts the system store. `until` is the
    last Python that the versions in its stack are for.
    """

    def __init__(
        self,
        program: str,
        distribution: str = "",
        trusts: str = SYSTEM,
        *,
        port: str = "",
        own_tls: bool = False,
        helped_by: tuple[str, str] | None = None,
        stack: str = "newest",
        complaint: str = "",
        ends_badly: bool = False,
        broken_without: str = "",
        until: tuple[int, int] = (3, 99),
        slow: bool = False,
    ) -> None:
        self.stack = stack
        self.complaint = complaint  # how it says "certificate" if it keeps the reason to itself
        self.ends_badly = ends_badly  # also where it reached the site, which does not have what it looks for
        self.broken_without = broken_without  # why it never works without the hook
        self.until = until
        self.program = program
        self.distribution = distribution  # whose version counts; the standard library's where empty
        self.trusts = trusts
        self.port = port
        self.own_tls = own_tls
        self.helped_by = helped_by
        self.quick = not slow

    def __repr__(self) -> str:
        return self.program + ("" if self.stack == "newest" else f"-{self.stack}")

    def without_hook(self, situation: str) -> str:
        """What this client does in `situation` by itself."""
        trusted = {SYSTEM: [TRUSTED], BUNDLE: [CERTIFI_ONLY], BOTH: [TRUSTED, CERTIFI_ONLY], NOTHING: []}
        trusted |= {PIN: [UNKNOWN_CA], ADDED: [TRUSTED, UNKNOWN_CA]}
        return REACHED if situation in trusted[self.trusts] else REFUSED

    def with_hook(self, situation: str) -> str:
        """What it does with the hook: what the system store says, unless it pins a CA or its TLS is its own."""
        if self.own_tls or self.trusts in (PIN, ADDED):
            return self.without_hook(situation)
        return REACHED if situation == TRUSTED else REFUSED

    def url(self, site: Site) -> str:
        """Where this client connects to at `site`."""
        return f"https://localhost:{site.ports[self.port] if self.port else site.port}/"


_BUNDLE_FILE = "/etc/ssl/certs/ca-certificates.crt"

CLIENTS = (
    Client("urllib_request"),
    Client("http_client", slow=True),
    Client("urllib3_pool", "urllib3"),
    Client("urllib3_with_certifi", "urllib3", BUNDLE),
    Client("requests_get", "requests", BUNDLE),
    Client("requests_session", "requests", BUNDLE, slow=True),
    Client("httpx_client", "httpx", BUNDLE),
    Client("httpx_asyncio", "httpx", BUNDLE, slow=True),
    Client("httpx_trio", "httpx", BUNDLE, complaint="httpx.connecterror"),
    Client("httpx2_client", "httpx2"),
    Client("aiohttp_client", "aiohttp"),
    Client("aiohttp_uvloop", "aiohttp", slow=True),
    Client("asyncio_streams", slow=True),
    Client("asyncio_start_tls"),
    Client("uvloop_streams", "uvloop", slow=True),
    Client("uvloop_start_tls", "uvloop"),
    Client("anyio_tls", "anyio", slow=True),
    Client("trio_ssl", "trio"),
    Client("gevent_urllib", "gevent"),
    Client("gevent_requests", "gevent", BUNDLE, slow=True),
    Client("gevent_patched_after_urllib", "gevent", slow=True),
    Client(
        "gevent_patched_after_requests",
        "gevent",
        BUNDLE,
        broken_without="RecursionError: ssl.SSLContext was replaced after urllib3 took it, gevent issues 903 and 1016",
    ),
    Client("eventlet_urllib", "eventlet", slow=True),
    Client("eventlet_requests", "eventlet", BUNDLE),
    Client("botocore_s3", "botocore", BUNDLE),
    Client("boto3_s3", "boto3", BUNDLE, slow=True),
    Client("huggingface_model_info", "huggingface_hub", slow=True),
    Client("openai_models", "openai", slow=True),
    Client("anthropic_models", "anthropic", slow=True),
    Client("google_auth_requests", "google-auth", BUNDLE, slow=True),
    Client("google_auth_urllib3", "google-auth", BUNDLE, slow=True),
    Client("websockets_asyncio", "websockets", slow=True),
    Client("websockets_sync", "websockets", slow=True),
    Client("websocket_client", "websocket-client", slow=True),
    Client("tornado_fetch", "tornado", slow=True),
    Client("smtplib_starttls", port="smtp"),
    Client("imaplib_starttls", port="imap", slow=True),
    Client("poplib_stls", port="pop3", slow=True),
    Client("ftplib_auth_tls", port="ftp", slow=True),
    Client("pymongo_ping", "pymongo", slow=True),
    Client("redis_py", "redis"),
    Client("redis_asyncio", "redis", slow=True),
    Client("paho_mqtt", "paho-mqtt", slow=True),
    Client("kubernetes_version", "kubernetes", slow=True),
    Client("niquests_get", "niquests", stack="niquests", slow=True),
    # Each of these two brings a bundle of its own; httplib2 prefers certifi's where that is installed.
    Client("httplib2_request", "httplib2", BUNDLE, stack="httplib2"),
    Client("stripe_balance", "stripe", BUNDLE),
    Client("google_api_client", "google-api-python-client", BUNDLE, slow=True),
    Client("elasticsearch_health", "elasticsearch", BOTH, slow=True),
    Client("opensearch_health", "opensearch-py", BUNDLE, slow=True),
    Client("azure_core_request", "azure-core", BUNDLE, slow=True),
    Client("sentry_message", "sentry-sdk", BUNDLE, slow=True),
    Client("docker_version", "docker", BUNDLE, slow=True),
    Client("twilio_request", "twilio", BUNDLE, slow=True),
    Client("github_user", "PyGithub", BUNDLE, slow=True),
    Client("slack_api", "slack_sdk", slow=True),
    Client("aiosmtplib_starttls", "aiosmtplib", port="smtp", slow=True),
    Client("nats_connect", "nats-py", port="nats", slow=True),
    Client("asyncpg_connect", "asyncpg", port="postgresql", slow=True),
    Client("pg8000_connect", "pg8000", port="postgresql", slow=True),
    Client("pymysql_connect", "PyMySQL", port="mysql", slow=True),
    Client("ldap3_bind", "ldap3", slow=True),
    Client("pika_connect", "pika", slow=True),
    Client("kombu_connect", "kombu", slow=True),
    Client("twisted_agent", "twisted", stack="pyopenssl", own_tls=True, complaint="dnsmismatch", slow=True),
    # pymongo prefers pyOpenSSL where that is installed with service-identity.
    Client("pymongo_ping", "pymongo", stack="pyopenssl", own_tls=True, complaint="dnsmismatch", slow=True),
    Client(
        "psycopg_connect",
        "psycopg",
        NOTHING,
        own_tls=True,
        port="postgresql",
        helped_by=("PGSSLROOTCERT", _BUNDLE_FILE),
        slow=True,
    ),
    Client(
        "grpc_channel",
        "grpcio",
        NOTHING,
        own_tls=True,
        port="http2",
        helped_by=("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", _BUNDLE_FILE),
    ),
    Client("pycurl_get", "pycurl", own_tls=True),
    Client("pycurl_with_certifi", "pycurl", BUNDLE, own_tls=True, slow=True),
    Client("curl_cffi_get", "curl_cffi", own_tls=True, slow=True),
    Client("requests_get", "requests", BUNDLE, stack="older"),
    Client("urllib3_with_certifi", "urllib3", BUNDLE, stack="older", slow=True),
    Client("httpx_client", "httpx", BUNDLE, stack="older", slow=True),
    Client("aiohttp_client", "aiohttp", stack="older-aiohttp", until=(3, 12), slow=True),
    Client("botocore_s3", "botocore", BUNDLE, stack="older", slow=True),
    Client("huggingface_model_info", "huggingface_hub", BUNDLE, stack="older", slow=True),
    Client("openai_models", "openai", BUNDLE, stack="older", slow=True),
    Client("gevent_requests", "gevent", BUNDLE, stack="older", slow=True),
    Client("requests_pinned", "requests", PIN),
    Client("httpx_pinned", "httpx", PIN, slow=True),
    Client("boto3_pinned", "boto3", PIN, slow=True),
    Client("kubernetes_pinned", "kubernetes", PIN, slow=True),
    Client("docker_pinned", "docker", PIN, slow=True),
    Client("pymysql_pinned", "PyMySQL", PIN, port="mysql", slow=True),
    # redis loads it into a context that has the default certificates already: not a pin, with the hook or without.
    Client("redis_with_ca", "redis", ADDED, slow=True),
    Client("pymongo_pinned", "pymongo", PIN, slow=True),
    Client("paho_mqtt_pinned", "paho-mqtt", PIN, slow=True),
    Client("pip_download", "pip", BUNDLE, stack="pip-22.2", until=(3, 11), ends_badly=True, slow=True),
    Client("pip_download", "pip", BUNDLE, stack="pip-23.2", ends_badly=True, slow=True),
    Client("pip_download", "pip", BUNDLE, stack="pip-24.0", ends_badly=True, slow=True),
    Client("pip_download", "pip", BOTH, stack="pip-24.2", ends_badly=True, slow=True),
    Client("pip_download", "pip", BOTH, stack="pip", ends_badly=True),
    Client("poetry_lock", "poetry", BUNDLE, stack="poetry", ends_badly=True, slow=True),
    Client("pdm_lock", "pdm", BOTH, stack="pdm", ends_badly=True, slow=True),
    Client(
        "uv_pip_install",
        "uv",
        NOTHING,
        stack="uv",
        own_tls=True,
        ends_badly=True,
        helped_by=("UV_SYSTEM_CERTS", "true"),
        slow=True,
    ),
)

# What is installed together, and asked from the registry by these words.
STACKS = {
    "newest": (
        *("aiohttp", "aiosmtplib", "anthropic", "anyio", "asyncpg", "azure-core", "boto3", "certifi", "curl_cffi"),
        *(
            "docker",
            "elasticsearch",
            "eventlet",
            "gevent",
            "google-api-python-client",
            "google-auth",
            "grpcio",
            "httpx",
        ),
        *(
            "httpx2",
            "huggingface_hub",
            "kombu",
            "kubernetes",
            "ldap3",
            "nats-py",
            "openai",
            "opensearch-py",
            "paho-mqtt",
        ),
        *("pg8000", "pika", "psycopg[binary]", "pycurl", "PyGithub", "pymongo", "PyMySQL", "redis", "requests"),
        *("sentry-sdk", "slack_sdk", "stripe", "tornado", "trio", "twilio", "urllib3>=2", "uvloop", "websocket-client"),
        "websockets",
    ),
    "older": (
        *("boto3==1.35.99", "gevent==24.11.1", "httpx==0.27.2", "huggingface_hub==0.36.2"),
        *("openai==1.109.1", "requests==2.31.0", "urllib3==1.26.20"),
    ),
    "older-aiohttp": ("aiohttp==3.9.5",),
    "httplib2": ("httplib2",),
    "niquests": ("niquests",),
    "pyopenssl": ("pymongo", "pyopenssl", "service-identity", "twisted"),
    "pip-22.2": ("pip==22.2.2", "setuptools"),
    "pip-23.2": ("pip==23.2.1",),
    "pip-24.0": ("pip==24.0",),
    "pip-24.2": ("pip==24.2",),
    "pip": ("pip",),
    "poetry": ("poetry",),
    # With the newest hishel and unearth, instead of those that it was released with, it does not start.
    "pdm": ("pdm[locked]",),
    "uv": ("uv",),
}
# The quick run installs only what its clients need.
QUICK_STACKS = {
    "newest": (
        *("aiohttp", "boto3", "certifi", "eventlet", "gevent", "grpcio", "httpx", "httpx2", "pycurl", "redis"),
        *("requests", "stripe", "trio", "urllib3>=2", "uvloop"),
    ),
    "older": ("requests==2.31.0", "urllib3==1.26.20"),
    "httplib2": ("httplib2",),
    "pip": ("pip",),
}


class Stack:
    """The same libraries twice: without our wheel and with it."""

    def __init__(self, stock: Environment, hooked: Environment) -> None:
        self.stock = stock
        self.hooked = hooked


class System(Protocol):
    """Where clients run: a private copy of this machine's store, or an image."""

    def command(self, program: str | os.PathLike[str], *arguments: str | os.PathLike[str]) -> list[str]: ...


class Outcome:
    """What became of one run: `verdict` is `REACHED`, `REFUSED`, or what went wrong otherwise."""

    def __init__(self, verdict: str, said: str) -> None:
        self.verdict = verdict
        self.said = said


def run_in_situations(
    system: System,
    command: Sequence[str],
    client: Client,
    sites: Mapping[str, Site],
    situations: Sequence[str] = SITUATIONS,
    variables: Mapping[str, str] | None = None,
    programs: str | os.PathLike[str] = PROGRAMS,
) -> dict[str, Outcome]:
    """Run `client` by `command` (which gets its program and a URL) in `situations`, all at once: each has its site."""
    # As much as cron gives; "unset" HOME is what containers with an arbitrary user have.
    environment = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LANG": "C.UTF-8", **(variables or {})}
    if client.trusts in (PIN, ADDED):
        # The CA of the server that nobody else trusts: only that one may be reached.
        environment["PINNED_CA"] = sites[UNKNOWN_CA].authority
    started = {}
    for situation in situations:
        site = sites[situation]
        before = (site.connections, site.application_bytes, len(site.failures))
        process = subprocess.Popen(
            system.command(*command, os.path.join(programs, f"{client.program}.py"), client.url(site)),
            env=environment,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        started[situation] = (process, before)
    outcomes = {}
    for situation, (process, before) in started.items():
        try:
            output, _ = process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            output, _ = process.communicate()
        outcomes[situation] = _judge(process.returncode, output, client, sites[situation], before)
    return outcomes


def _judge(status: int, output: bytes, client: Client, site: Site, before: tuple[int, int, int]) -> Outcome:
    site.settle()
    connected, sent = site.connections > before[0], site.application_bytes > before[1]
    said = output.decode(errors="replace")
    if sent and (client.ends_badly or (status == 0 and HELLO in output)):
        return Outcome(REACHED, said)
    # Some libraries keep the reason to themselves; the alert that their OpenSSL sent to the server tells it, too.
    evidence = "\n".join([said, *site.failures[before[2] :]]).lower()
    words = (*_COMPLAINTS, client.complaint) if client.complaint else _COMPLAINTS
    if status != 0 and connected and not sent and any(word in evidence for word in words):
        return Outcome(REFUSED, said)
    return Outcome(
        f"neither: exit {status}, {'' if connected else 'not '}connected, {'' if sent else 'nothing '}sent", said
    )
