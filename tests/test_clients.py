"""Unmodified clients in this process, with the hook: what the system trusts is trusted, and a pin stays a pin."""

from __future__ import annotations

import asyncio
import http.client
import ssl
import urllib.request
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import aiohttp
import certifi
import httpx
import pytest
import requests
import urllib3
from harness.oracle import OracleVerifier
from harness.pki import Authority
from harness.servers import https_server

import truststore

Get = Callable[[str], str]


def by_urllib(url: str) -> str:
    with urllib.request.urlopen(url, timeout=30) as response:
        return str(response.read().decode())


def by_http_client(url: str) -> str:
    connection = http.client.HTTPSConnection(urlsplit(url).netloc, timeout=30)
    try:
        connection.request("GET", "/")
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def by_urllib3(url: str) -> str:
    with urllib3.PoolManager(retries=False) as pool:
        return str(pool.request("GET", url).data.decode())


def by_urllib3_with_certifi(url: str) -> str:
    with urllib3.PoolManager(retries=False, ca_certs=certifi.where()) as pool:
        return str(pool.request("GET", url).data.decode())


def by_requests(url: str) -> str:
    return requests.get(url, timeout=30).text


def by_httpx(url: str) -> str:
    return httpx.get(url).text


def by_aiohttp(url: str) -> str:
    async def get() -> str:
        connector = aiohttp.TCPConnector(ssl=ssl.create_default_context())
        async with aiohttp.ClientSession(connector=connector) as session, session.get(url) as response:
            return await response.text()

    return asyncio.run(get())


CLIENTS = [by_urllib, by_http_client, by_urllib3, by_urllib3_with_certifi, by_requests, by_httpx, by_aiohttp]


def is_verification_failure(error: BaseException | None) -> bool:
    """Whether the verification is what `error`, or whatever it came from, is about."""
    while error is not None:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def refused(get: Get, url: str) -> bool:
    with pytest.raises(Exception) as caught:  # noqa: PT011  # every client has an exception of its own
        get(url)
    return is_verification_failure(caught.value)


@pytest.fixture(params=["native", "delegated"])
def _verifier(request: pytest.FixtureRequest, system_store: object) -> None:
    if request.param == "delegated":
        request.getfixturevalue("delegated")


@pytest.fixture(scope="module")
def system_url(system_ca: Authority) -> Iterator[str]:
    with https_server(system_ca.server_context()) as url:
        yield url


@pytest.fixture(scope="module")
def private_url(private_ca: Authority) -> Iterator[str]:
    with https_server(private_ca.server_context()) as url:
        yield url


@pytest.mark.usefixtures("_verifier", "hook")
class TestUnmodified:
    @pytest.mark.parametrize("get", CLIENTS)
    def test_what_the_system_trusts(self, get: Get, system_url: str) -> None:
        assert get(system_url) == "hello"

    @pytest.mark.parametrize("get", CLIENTS)
    def test_what_it_does_not_trust(self, get: Get, private_url: str) -> None:
        assert refused(get, private_url)

    @pytest.mark.parametrize("get", CLIENTS)
    def test_a_wrong_name(self, get: Get, system_ca: Authority) -> None:
        with https_server(system_ca.server_context("other.test")) as url:
            assert refused(get, url)

    def test_verification_switched_off_by_the_program_is_off(self, private_url: str) -> None:
        with pytest.warns(urllib3.exceptions.InsecureRequestWarning):
            assert requests.get(private_url, verify=False, timeout=30).text == "hello"
        assert httpx.get(private_url, verify=False).text == "hello"


@pytest.mark.usefixtures("_verifier", "hook")
class TestPins:
    def test_requests_verify(self, system_url: str, private_url: str, private_ca: Authority) -> None:
        assert requests.get(private_url, verify=str(private_ca.file), timeout=30).text == "hello"
        assert refused(lambda url: requests.get(url, verify=str(private_ca.file), timeout=30).text, system_url)

    def test_requests_ca_bundle(
        self, system_url: str, private_url: str, private_ca: Authority, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(private_ca.file))
        assert by_requests(private_url) == "hello"
        assert refused(by_requests, system_url)

    def test_urllib3_ca_certs(self, system_url: str, private_url: str, private_ca: Authority) -> None:
        with urllib3.PoolManager(retries=False, ca_certs=str(private_ca.file)) as pool:
            assert pool.request("GET", private_url).data == b"hello"
            assert refused(lambda url: str(pool.request("GET", url).data), system_url)

    def test_create_default_context(self, system_url: str, private_url: str, private_ca: Authority) -> None:
        context = ssl.create_default_context(cafile=str(private_ca.file))

        def get(url: str) -> str:
            with urllib.request.urlopen(url, context=context, timeout=30) as response:
                return str(response.read().decode())

        assert get(private_url) == "hello"
        assert refused(get, system_url)

    def test_truststores_own_class_accepts_both(self, system_url: str, private_url: str, private_ca: Authority) -> None:
        context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(private_ca.file)
        with urllib3.PoolManager(retries=False, ssl_context=context) as pool:
            assert pool.request("GET", private_url).data == b"hello"
            assert pool.request("GET", system_url).data == b"hello"


@pytest.mark.usefixtures("hook")
def test_a_system_verifier_is_asked_once_per_connection(system_url: str, delegated: OracleVerifier) -> None:
    assert by_requests(system_url) == "hello"
    assert len(delegated.asked) == 1
