"""The terminal sessions in the documentation are what the commands say."""

from __future__ import annotations

import sys

import pytest
from harness import sessions


@pytest.fixture(scope="module")
def captured() -> dict[str, str]:
    return sessions.capture()


def test_every_session_stands_in_a_page_and_every_page_shows_a_known_one() -> None:
    assert set(sessions.written()) == set(sessions.SESSIONS)


@pytest.mark.parametrize("name", sessions.SESSIONS)
def test_a_session_is_what_the_command_says(name: str, captured: dict[str, str]) -> None:
    if "help" in name and sys.version_info[:2] != (3, 13):
        pytest.skip("argparse words and wraps its help differently in each version of Python")
    page, text = sessions.written()[name]
    assert sessions.settled(text) == sessions.settled(captured[name]), (
        f"{page} is out of date: run `PYTHONPATH=tests python -m harness.sessions`"
    )


def test_what_is_settled_keeps_what_matters() -> None:
    session = "a:443: NOT TRUSTED\n  cause  it expired 3 days ago, on 2026-01-01 00:00:00 UTC\n"
    assert sessions.settled(session) != sessions.settled(session.replace("NOT TRUSTED", "trusted"))
    assert sessions.settled(session) == sessions.settled(session.replace("3 days", "4 days"))
