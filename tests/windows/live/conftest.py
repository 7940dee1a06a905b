"""These tests run on Windows only: under Wine by `tests/windows/wine/run.py`, or on a Windows by plain `pytest`."""

from __future__ import annotations

import sys

collect_ignore_glob = [] if sys.platform == "win32" else ["test_*.py"]

if sys.platform == "win32":
    from collections.abc import Iterator

    import pytest
    from harness import authority, windows_store

    @pytest.fixture(scope="session")
    def root() -> authority.Issued:
        """A root that the system does not know."""
        return authority.root("unknown root")

    @pytest.fixture(scope="session")
    def intermediate(root: authority.Issued) -> authority.Issued:
        return root.issue_ca()

    # Before anything else: Wine's default engine keeps what the store held when it was first used.
    @pytest.fixture(scope="session", autouse=True)
    def _root_in_the_store() -> Iterator[authority.Issued | None]:
        if not windows_store.is_wine():
            yield None
            return
        issued = authority.root("system root")
        with windows_store.trusted_by_user(issued.der):
            yield issued

    @pytest.fixture(scope="session")
    def system_root(_root_in_the_store: authority.Issued | None) -> authority.Issued:
        """A root in the user's ROOT store. In a Wine prefix only: no test changes what a real machine trusts."""
        if _root_in_the_store is None:
            pytest.skip("would change what this Windows trusts")
        return _root_in_the_store
