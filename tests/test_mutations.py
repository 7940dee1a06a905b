"""The mutations of the platform tiers still fit the source: who changes a line sees it here, not only in CI."""

from __future__ import annotations

import importlib.util
from types import ModuleType

import pytest
from harness.environments import PROJECT


def load(platform: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        f"{platform}_mutations", PROJECT / "tests" / platform / "mutations.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def mutations() -> list[tuple[str, str, str, str]]:
    """(title, file, what is replaced, by what)."""
    windows = [(it.what, it.file, it.old, it.new) for it in load("windows").all_mutations()]
    return windows + load("macos").MUTANTS


def test_what_a_mutation_replaces_is_there(mutations: list[tuple[str, str, str, str]]) -> None:
    assert len(mutations) > 200
    assert [title for title, file, old, _ in mutations if old not in (PROJECT / file).read_text()] == []


def test_a_mutation_changes_something(mutations: list[tuple[str, str, str, str]]) -> None:
    assert [title for title, _, old, new in mutations if old == new] == []
