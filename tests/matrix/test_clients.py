"""Every client, unmodified, with the hook and without, in every situation that a verifier must tell apart.

The full run does it on this Python, and once more on the newest CPython of this machine: there without those whose TLS
is not Python's, and without the hook only those that trust a bundle, which is where the hook makes the difference.
"""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from harness import clients
from harness.clients import CLIENTS, FULL, REACHED, REFUSED, Client, Outcome, Record, Stack, run_in_situations
from harness.environments import Environment, interpreters
from harness.private_system import PrivateSystem
from harness.situations import SITUATIONS, TRUSTED, UNKNOWN_CA, Site

pytestmark = [pytest.mark.matrix, pytest.mark.timeout(900)]

CHOSEN = [client for client in CLIENTS if FULL or client.quick]
THIS = sys.version_info[:2]
PYTHONS = {THIS: pathlib.Path(sys.executable)}
if FULL and (newer := interpreters((3, THIS[1] + 1), (3, 99))):
    PYTHONS[max(newer)] = newer[max(newer)]


def _on_each_python(chosen: Callable[[Client, tuple[int, int]], bool]) -> list[Any]:
    return [
        pytest.param(client, python, id=repr(client) + ("" if version == THIS else f"-{version[0]}.{version[1]}"))
        for version, python in PYTHONS.items()
        for client in CHOSEN
        if version <= client.until and chosen(client, version)
    ]


VERSION = "import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))"


@pytest.mark.parametrize(
    ("client", "python"), _on_each_python(lambda client, version: version == THIS or not client.own_tls)
)
def test_the_hook_decides_by_the_system_store(
    client: Client,
    python: pathlib.Path,
    stacks: Callable[[str, pathlib.Path], Stack],
    everywhere: dict[str, Site],
    private_system: PrivateSystem,
    record: Record,
) -> None:
    stack = stacks(client.stack, python)
    expected = {situation: client.with_hook(situation) for situation in SITUATIONS}
    found = run_in_situations(private_system, [str(stack.hooked.python)], client, everywhere)
    _record(record, client, stack.hooked, "with the hook", found)
    assert _verdicts(found) == expected, _said(found, expected)


@pytest.mark.parametrize(
    ("client", "python"),
    _on_each_python(
        lambda client, version: client.trusts in (clients.BUNDLE, clients.BOTH) or (FULL and version == THIS)
    ),
)
def test_what_it_does_without_the_hook(
    client: Client,
    python: pathlib.Path,
    stacks: Callable[[str, pathlib.Path], Stack],
    everywhere: dict[str, Site],
    private_system: PrivateSystem,
    record: Record,
) -> None:
    """Or else the test above would prove nothing about the hook."""
    stack = stacks(client.stack, python)
    found = run_in_situations(private_system, [str(stack.stock.python)], client, everywhere)
    _record(record, client, stack.stock, "without", found)
    if client.broken_without:
        assert REACHED not in _verdicts(found).values()
        return
    expected = {situation: client.without_hook(situation) for situation in SITUATIONS}
    assert _verdicts(found) == expected, _said(found, expected)


@pytest.mark.parametrize(
    ("client", "python"), _on_each_python(lambda client, version: client.helped_by is not None and version == THIS)
)
def test_a_variable_helps_who_is_out_of_reach(
    client: Client,
    python: pathlib.Path,
    stacks: Callable[[str, pathlib.Path], Stack],
    everywhere: dict[str, Site],
    private_system: PrivateSystem,
    record: Record,
) -> None:
    stack = stacks(client.stack, python)
    assert client.helped_by is not None
    variables = dict([client.helped_by])
    situations = (TRUSTED, UNKNOWN_CA)
    command = [str(stack.hooked.python)]
    found = run_in_situations(private_system, command, client, everywhere, situations, variables)
    _record(record, client, stack.hooked, "with " + "=".join(client.helped_by), found)
    assert _verdicts(found) == {TRUSTED: REACHED, UNKNOWN_CA: REFUSED}, _said(found, {})


def _verdicts(found: Mapping[str, Outcome]) -> dict[str, str]:
    return {situation: outcome.verdict for situation, outcome in found.items()}


def _said(found: Mapping[str, Outcome], expected: Mapping[str, str]) -> str:
    differing = [situation for situation in found if found[situation].verdict != expected.get(situation)]
    return "\n".join(f"---- {situation}\n{found[situation].said[-3000:]}" for situation in differing)


def _record(
    record: Record, client: Client, environment: Environment, condition: str, found: Mapping[str, Outcome]
) -> None:
    python = environment.run("-c", "import platform; print(platform.python_version())").stdout.strip()
    version = environment.run("-c", VERSION, client.distribution).stdout.strip() if client.distribution else python
    record(
        "clients",
        client=client.program,
        distribution=client.distribution or "Python",
        version=version,
        python=python,
        own_tls=client.own_tls,
        condition=condition,
        verdicts=_verdicts(found),
    )
