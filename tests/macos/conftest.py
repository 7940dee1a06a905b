"""Fixtures: the double, built once per run, installed and checked once per test."""

from __future__ import annotations

import gc
import os
import pathlib
from collections.abc import Iterator

import pytest
from harness.environment import missing

from macos.framework_double import PREBUILT, Double, MissingTool, build
from macos.world import World


@pytest.fixture(scope="session")
def double_directory(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Where the double's libraries are."""
    if os.environ.get(PREBUILT):
        return pathlib.Path(os.environ[PREBUILT])
    try:
        return build(tmp_path_factory.mktemp("double"))
    except MissingTool as error:
        missing(f"the double of the macOS frameworks cannot be built: {error}")


def _checked(double: Double) -> Iterator[Double]:
    with double.installed():
        yield double
        assert double.violations() == []
        # A refusal that the test caught still holds the verifier, by its traceback, and so the anchors that it keeps.
        gc.collect()
        assert double.live() == []


@pytest.fixture
def double(double_directory: pathlib.Path) -> Iterator[Double]:
    """The double, installed. A test that leaks a reference or misuses a function fails, whatever else it checks."""
    yield from _checked(Double(double_directory))


@pytest.fixture
def old_double(double_directory: pathlib.Path) -> Iterator[Double]:
    """The double of a macOS before 10.14, which has SecTrustEvaluate only."""
    yield from _checked(Double(double_directory, before_10_14=True))


@pytest.fixture
def misused_double(double_directory: pathlib.Path) -> Iterator[Double]:
    """The double for tests that misuse it on purpose: nothing is checked at the end."""
    with Double(double_directory).installed() as double:
        yield double
        double.reset()


@pytest.fixture
def world(double: Double) -> World:
    return World(double)
