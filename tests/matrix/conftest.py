"""Fixtures of the matrix: the stacks of libraries with the hook and without, the sites, and the record of the run.

`TRUSTSTORE_MATRIX=full` asks for every client instead of the quick choice, on two Pythons, and for what must be built
first. `TRUSTSTORE_MATRIX_RECORD` names a JSON file that gets what was found, from which `tests/matrix/page.py` makes
docs/reference/compatibility.md.
"""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Callable, Iterator

import pytest
from harness.bundles import with_root
from harness.clients import FULL, QUICK_STACKS, STACKS, Record, Stack
from harness.environments import NewEnvironment
from harness.pki import Authority
from harness.private_system import PrivateSystem
from harness.situations import Site, sites


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave what is marked `full` to the full run."""
    left = [] if FULL else [item for item in items if item.get_closest_marker("full")]
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if item not in left]


@pytest.fixture(scope="session")
def record() -> Iterator[Record]:
    """Keeps a row for the compatibility page: `record(table, key=value, ...)`."""
    rows: list[dict[str, object]] = []
    yield lambda table, **row: rows.append({"table": table, **row})
    destination = os.environ.get("TRUSTSTORE_MATRIX_RECORD")
    if destination:
        path = pathlib.Path(destination)
        known = json.loads(path.read_text()) if path.exists() else []
        path.write_text(json.dumps([*known, *rows], indent=1) + "\n")


@pytest.fixture(scope="session")
def company(private_system: PrivateSystem, tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The CA that the administrator added to the system store."""
    authority = Authority(tmp_path_factory.mktemp("matrix"), "company")
    private_system.trust(authority.file)
    return authority


@pytest.fixture(scope="session")
def certifi_only(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A CA that the vendored bundles hold and the system store does not: one that the administrator removed, say."""
    return Authority(tmp_path_factory.mktemp("matrix"), "certifi-only")


@pytest.fixture(scope="session")
def everywhere(
    company: Authority, certifi_only: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Site]]:
    """A site for every situation."""
    with sites(tmp_path_factory.mktemp("sites"), company, certifi_only) as made:
        yield made


@pytest.fixture(scope="session")
def stacks(
    new_environment: NewEnvironment,
    wheel: pathlib.Path,
    private_system: PrivateSystem,
    certifi_only: Authority,
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str, pathlib.Path], Stack]:
    """The stack of a name for an interpreter, made when it is first asked for."""
    made: dict[tuple[str, pathlib.Path], Stack] = {}

    def stack(name: str, python: pathlib.Path) -> Stack:
        if (name, python) not in made:
            stock = new_environment(hooked=False, python=python)
            stock.install_from_registry(*(STACKS if FULL else QUICK_STACKS)[name], timeout=800)
            # Before the wheel, which may replace files of the distribution `truststore`, as it would anywhere.
            hooked = stock.twin(tmp_path_factory.mktemp("twin") / "env")
            hooked.install(wheel)
            for environment in (stock, hooked):
                directory = tmp_path_factory.mktemp("bundles")
                for place, seen in with_root(directory, environment.site_packages, certifi_only.pem).items():
                    private_system.overlay(seen, place)
            made[name, python] = Stack(stock, hooked)
        return made[name, python]

    return stack
