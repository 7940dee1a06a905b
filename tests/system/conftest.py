"""Fixtures of the tests that need root: an environment for each Python, in a private copy of the trust store."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest
from harness.environment import missing
from harness.environments import Environment, NewEnvironment, interpreters
from harness.pki import Authority
from harness.private_system import PrivateSystem

OLDEST, NEWEST = (3, 10), (3, 13)


@pytest.fixture(scope="session", params=[f"3.{minor}" for minor in range(OLDEST[1], NEWEST[1] + 1)])
def python(request: pytest.FixtureRequest) -> pathlib.Path:
    """The interpreter of each supported version."""
    version = (3, int(request.param.partition(".")[2]))
    found = interpreters(version, version)
    if not found:
        missing(f"no Python {request.param} in pyenv or on PATH")
    return found[version]


@pytest.fixture(scope="session")
def hooked(python: pathlib.Path, new_environment: NewEnvironment) -> Environment:
    """An environment of `python` with the wheel and the newest libraries."""
    environment = new_environment(python=python)
    environment.install_from_registry("aiohttp", "httpx", "requests", "urllib3>=2")
    return environment


@pytest.fixture(scope="session")
def hooked_older(python: pathlib.Path, new_environment: NewEnvironment) -> Environment:
    """An environment of `python` with the wheel and the libraries of yesterday."""
    environment = new_environment(python=python)
    environment.install_from_registry("requests==2.31.0", "urllib3==1.26.20")
    return environment


@pytest.fixture(scope="session")
def company_ca(private_system: PrivateSystem, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    """A CA that the administrator added to the system's store, and to nothing else."""
    authority = Authority(tmp_path_factory.mktemp("company"), "company")
    private_system.trust(authority.file)
    yield authority
    private_system.distrust(authority.file)


@pytest.fixture(scope="session")
def removed_ca(private_system: PrivateSystem, tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A CA that the administrator added to the system's store and removed again."""
    authority = Authority(tmp_path_factory.mktemp("removed"), "removed")
    private_system.trust(authority.file)
    private_system.distrust(authority.file)
    return authority
