"""Unmodified programs trust what `update-ca-certificates` put into the system's store, and nothing else.

No variable is set that speaks of certificates. The store is a private copy: see `harness.private_system`.
"""

from __future__ import annotations

import base64
import hashlib
import pathlib
import textwrap
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from harness.environments import Environment
from harness.pki import Authority
from harness.private_system import PrivateSystem
from harness.servers import https_server, mail_server

pytestmark = pytest.mark.system

# Each prints what its server says. The arguments are the URL of a web server, its port and the port of a mail server.
PROGRAMS = {
    "urllib": """
        import sys, urllib.request
        print(urllib.request.urlopen(sys.argv[1]).read().decode())
    """,
    "http.client": """
        import http.client, sys
        connection = http.client.HTTPSConnection("localhost", int(sys.argv[2]))
        connection.request("GET", "/")
        print(connection.getresponse().read().decode())
    """,
    "smtplib STARTTLS": """
        import smtplib, ssl, sys
        with smtplib.SMTP("localhost", int(sys.argv[3])) as mail:
            mail.starttls(context=ssl.create_default_context())
            print(mail.noop()[1].decode())
    """,
    "asyncio streams": """
        import asyncio, sys
        async def main():
            reader, writer = await asyncio.open_connection("localhost", int(sys.argv[2]), ssl=True)
            writer.write(b"GET / HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n")
            print((await reader.read()).decode().rpartition("\\n")[2])
            writer.close()
        asyncio.run(main())
    """,
    "requests": """
        import requests, sys
        print(requests.get(sys.argv[1]).text)
    """,
    "httpx": """
        import httpx, sys
        print(httpx.get(sys.argv[1]).text)
    """,
    "aiohttp": """
        import aiohttp, asyncio, sys
        async def main():
            async with aiohttp.ClientSession() as session, session.get(sys.argv[1]) as answer:
                print(await answer.text())
        asyncio.run(main())
    """,
    "urllib3": """
        import sys, urllib3
        print(urllib3.PoolManager().request("GET", sys.argv[1], retries=False).data.decode())
    """,
    "urllib3 with certifi": """
        import certifi, sys, urllib3
        pool = urllib3.PoolManager(cert_reqs="CERT_REQUIRED", ca_certs=certifi.where())
        print(pool.request("GET", sys.argv[1], retries=False).data.decode())
    """,
}
OLDER = ("requests", "urllib3", "urllib3 with certifi")
# What the standard library's context does not make trust the system's store, so that it proves that the hook does.
OWN_BUNDLE = ("requests", "httpx", "urllib3 with certifi")


class Servers(NamedTuple):
    """A web server and a mail server of one CA, as the arguments of `PROGRAMS`."""

    arguments: tuple[str, str, str]


@pytest.fixture(scope="module")
def trusted(company_ca: Authority) -> Iterator[Servers]:
    yield from servers(company_ca)


@pytest.fixture(scope="module")
def removed(removed_ca: Authority) -> Iterator[Servers]:
    yield from servers(removed_ca)


def servers(authority: Authority) -> Iterator[Servers]:
    context = authority.server_context()
    with https_server(context) as url, mail_server(context) as port:
        yield Servers((url, url.strip("/").rpartition(":")[2], str(port)))


def verdict(system: PrivateSystem, environment: Environment, name: str, place: Servers, **variables: str) -> str:
    """`hello` if the connection was verified, `refused` if the certificate was not; anything else is an error."""
    done = system.run(environment.python, "-c", textwrap.dedent(PROGRAMS[name]), *place.arguments, **variables)
    if done.returncode == 0 and not done.stderr:
        return done.stdout.strip()
    assert "CERTIFICATE_VERIFY_FAILED" in done.stderr, f"{name}: {done.stdout}\n{done.stderr}"
    assert done.stdout == ""
    return "refused"


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_ca_in_the_system_store_is_trusted(
    name: str, private_system: PrivateSystem, hooked: Environment, trusted: Servers, removed: Servers
) -> None:
    assert verdict(private_system, hooked, name, trusted) == "hello"
    assert verdict(private_system, hooked, name, removed) == "refused"


@pytest.mark.parametrize("name", OLDER)
def test_a_ca_in_the_system_store_is_trusted_with_urllib3_1(
    name: str, private_system: PrivateSystem, hooked_older: Environment, trusted: Servers, removed: Servers
) -> None:
    assert verdict(private_system, hooked_older, name, trusted) == "hello"
    assert verdict(private_system, hooked_older, name, removed) == "refused"


@pytest.mark.parametrize("name", OWN_BUNDLE)
def test_without_the_hook_these_trust_only_their_own_bundle(
    name: str, private_system: PrivateSystem, hooked: Environment, trusted: Servers
) -> None:
    assert verdict(private_system, hooked, name, trusted, TRUSTSTORE_DISABLE="1") == "refused"


def test_a_ca_is_trusted_as_soon_as_it_is_added_and_no_longer_than_it_is_there(
    private_system: PrivateSystem, hooked: Environment, tmp_path: pathlib.Path
) -> None:
    authority = Authority(tmp_path, "changing")
    for place in servers(authority):
        for name in ("urllib", "requests"):
            assert verdict(private_system, hooked, name, place) == "refused"
        private_system.trust(authority.file)
        for name in ("urllib", "requests"):
            assert verdict(private_system, hooked, name, place) == "hello"
        private_system.distrust(authority.file)
        for name in ("urllib", "requests"):
            assert verdict(private_system, hooked, name, place) == "refused"


def test_a_ca_is_trusted_that_replaced_another_one_under_the_same_name(
    private_system: PrivateSystem, hooked: Environment, tmp_path: pathlib.Path
) -> None:
    """update-ca-certificates renews the bundle then, but not the hash names: only the bundle is right."""
    last, following = Authority(tmp_path, "last"), Authority(tmp_path, "following")
    private_system.trust(last.file, name="renewed")
    private_system.trust(following.file, name="renewed")
    for place in servers(following):
        for name in ("urllib", "requests"):
            assert verdict(private_system, hooked, name, place) == "hello"
    for place in servers(last):
        for name in ("urllib", "requests"):
            assert verdict(private_system, hooked, name, place) == "refused"
    private_system.distrust(following.file, name="renewed")


# ---- a root that only certifi has -----------------------------------------------------------------------------------


@pytest.fixture
def only_in_certifi(hooked: Environment, tmp_path: pathlib.Path) -> Iterator[tuple[Servers, pathlib.Path]]:
    """Servers of a CA that only certifi's bundle holds, as if it were shipped so; and the RECORD that says so."""
    authority = Authority(tmp_path, "bundled")
    bundle = hooked.site_packages / "certifi" / "cacert.pem"
    (record,) = hooked.site_packages.glob("certifi-*.dist-info/RECORD")
    saved = bundle.read_bytes(), record.read_text()
    changed = saved[0] + b"\n" + authority.file.read_bytes()
    write_apart(bundle, changed)
    write_apart(record, with_hash(saved[1], "certifi/cacert.pem", changed).encode())
    for place in servers(authority):
        yield place, record
    write_apart(bundle, saved[0])
    write_apart(record, saved[1].encode())


def write_apart(file: pathlib.Path, content: bytes) -> None:
    """Write a new file: an installer may have made the old one a hard link to its cache."""
    file.unlink()
    file.write_bytes(content)


def with_hash(record: str, name: str, content: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    lines = [
        f"{name},sha256={digest},{len(content)}" if line.startswith(name + ",") else line for line in record.split("\n")
    ]
    assert "\n".join(lines) != record
    return "\n".join(lines)


def test_a_root_that_only_certifi_has_is_refused_unless_bundles_are_kept(
    private_system: PrivateSystem, hooked: Environment, only_in_certifi: tuple[Servers, pathlib.Path]
) -> None:
    place, _ = only_in_certifi
    for name in OWN_BUNDLE:
        assert verdict(private_system, hooked, name, place, TRUSTSTORE_DISABLE="1") == "hello"  # it is in the bundle
        assert verdict(private_system, hooked, name, place) == "refused"
        assert verdict(private_system, hooked, name, place, TRUSTSTORE_KEEP_BUNDLED="1") == "hello"


def test_a_root_that_somebody_appended_to_certifi_is_kept_besides_the_system_store(
    private_system: PrivateSystem,
    hooked: Environment,
    only_in_certifi: tuple[Servers, pathlib.Path],
    trusted: Servers,
    removed: Servers,
) -> None:
    place, record = only_in_certifi
    # Not what RECORD says any more: a decision, and not the distribution's
    write_apart(record, with_hash(record.read_text(), "certifi/cacert.pem", b"as it was shipped").encode())
    for name in OWN_BUNDLE:
        assert verdict(private_system, hooked, name, place) == "hello"
        assert verdict(private_system, hooked, name, trusted) == "hello"
        assert verdict(private_system, hooked, name, removed) == "refused"
