"""Makes docs/reference/compatibility.md from the record of a run: `python tests/matrix/page.py RECORD PAGE`."""

from __future__ import annotations

import datetime
import json
import pathlib
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]

SITUATIONS = ("trusted", "unknown CA", "wrong name", "expired", "root only in certifi")

HEAD = """\
# Compatibility

Made by `tests/matrix/page.py` on {date} from what the tests of `tests/matrix/run_full` found; do not edit. Where some
were run again by themselves, a row says what was found last. Each client is a program of a few lines in
`tests/matrix/clients/`, unmodified, run as a process of its own against servers on loopback.

* *reached*: it ended well, and the server got its bytes.
* *refused*: it failed on the certificate, and the server got none of the application's bytes.

The five servers: one whose CA the administrator added to the system store with `update-ca-certificates`; one whose CA
nobody knows; one with another host's certificate; one with an expired certificate; one whose root is only in the
bundles that packages bring (those of certifi, botocore, httplib2, pip and stripe were given it, with `RECORD`s to
match).
"""

CLIENTS = """\
## Clients

What to see: in every row "with the hook", the first server is reached and none of the others is. The row "without" is
the same program in an environment without truststore-auto. On the newer Python only those were run without it that
trust a bundle, which is where the hook makes the difference; aiohttp 3.9.5 and pip 22.2.2 are not for that Python.

* Programs whose name ends in `_pinned` load one CA of their own, that of the second server: a pin reaches that one
  alone, with the hook and without. `redis_with_ca` does, too, but redis adds it to the default certificates.
* `gevent_patched_after_requests` never works without the hook: RecursionError, since gevent replaces `ssl.SSLContext`
  after urllib3 took it. With the hook it does.
* `pip_download` and its like look for a package that the server does not have, and end with an error also where they
  reached it. The server tells.
* `pdm_lock` is of `pip install pdm[locked]`: with the newest hishel (2.0.0) and unearth (0.19.0), which
  `pip install pdm` takes, pdm 2.29.3 does not get as far as a connection, hook or not.
* A package's copy of the public CAs need not be certifi's: httplib2 has its own where certifi is not installed, and
  stripe a list of twelve roots. Where a package lists the CAs of one vendor's servers, as braintree (Amazon's and
  DigiCert's roots) and redshift_connector (Amazon's and Starfield's) do, that is a pin, and stays one.
"""

OWN_TLS = """\
## Out of reach: clients whose TLS is not Python's

These use a TLS library of their own and never touch `ssl`, so that the hook cannot change them, for better or worse:
both rows say the same. pymongo is among them only where pyOpenSSL and service-identity are installed, which it prefers.
Where a variable makes one trust the system store, a row shows it; `python -m truststore env` prints those variables.
"""

INTERPRETERS = """\
## Interpreters

Each with `urllib`, requests and asyncio's streams, in all five situations. The startup file is the `.pth` line, or the
`.start` entry point of PEP 829 (Python 3.15 and later). The free-threaded one ran a program of 16 threads, too, which
import `ssl` and connect at the same moment.
"""

IMAGES = """\
## Base images

A root file system made by debootstrap, the company's CA added, the wheel installed once, `python3 -m truststore image
--install` run once. The client is requests in an environment that was made afterwards.
"""

FROZEN = """\
## Frozen and packed programs

The client is requests. For PyInstaller, truststore-auto was installed where it was frozen, or was not. For the others
it was in the interpreter that runs the program; or inside; or inside, and the program begins with the two lines of
[this page](../how-to/frozen.md).
"""

NOT_REACHED = """\
## What was not run

* A free-threaded CPython newer than 3.13: no registry has one, and Debian's mirror did not give the sources of 3.14 and
  3.15. That of 3.13 was built (`tests/matrix/test_interpreters.py`); besides the row above, threads made and changed
  contexts on it in a loop, with OpenSSL and with a verifier of our own deciding (`tests/harness/stress.py`).
* The Pythons that uv downloads could not be had. In their place stands Debian's Python with an `_ssl` that has OpenSSL
  linked statically and shows no symbol of it, which is what sets them apart.
* macOS and Windows: see the pages about those; nothing on this page was run there.
* conda, RHEL and Alpine themselves. Their stores' layouts are tested (`tests/test_store.py`); their
  Pythons are not.
"""


def main(record: str, page: str) -> None:
    rows = _latest(json.loads(pathlib.Path(record).read_text()))
    pathlib.Path(page).write_text("\n".join(_page(rows)), encoding="utf-8")


def _page(rows: Sequence[Row]) -> Iterator[str]:
    yield HEAD.format(date=datetime.datetime.now(datetime.timezone.utc).date().isoformat())
    clients = [row for row in rows if row["table"] == "clients"]
    for heading, own_tls in ((CLIENTS, False), (OWN_TLS, True)):
        yield heading
        yield from _table(
            ("client", "version", "Python", "", *SITUATIONS),
            (
                (
                    row["client"],
                    f"{row['distribution']} {row['version']}",
                    row["python"],
                    row["condition"],
                    *_cells(row),
                )
                for row in sorted(clients, key=_by_client)
                if row["own_tls"] == own_tls
            ),
        )
    yield INTERPRETERS
    yield from _table(
        ("interpreter", "OpenSSL", "from", "startup file", "urllib, requests, asyncio"),
        (
            (row["interpreter"], row["openssl"], row["where"], f"`.{row['startup']}`", _summary(row["verdicts"]))
            for row in rows
            if row["table"] == "interpreters"
        ),
    )
    for heading, table in ((IMAGES, "images"), (FROZEN, "frozen")):
        yield heading
        chosen = [row for row in rows if row["table"] == table]
        shown = [situation for situation in SITUATIONS if any(situation in row["verdicts"] for row in chosen)]
        yield from _table(
            ("what", *shown),
            ((row["what"], *(row["verdicts"].get(situation, "") for situation in shown)) for row in chosen),
        )
    yield NOT_REACHED


def _latest(rows: Iterable[Row]) -> list[Row]:
    """The last of the rows that are about the same: a test that was run again counts as it went then."""
    return list({tuple(str(row[key]) for key in row if key != "verdicts"): row for row in rows}.values())


def _by_client(row: Row) -> tuple[str, str, str, bool]:
    return row["client"], row["version"], row["python"], row["condition"] != "with the hook"


def _cells(row: Row) -> list[str]:
    return [row["verdicts"].get(situation, "") for situation in SITUATIONS]


def _summary(verdicts: Mapping[str, Mapping[str, str]]) -> str:
    right = {situation: "reached" if situation == "trusted" else "refused" for situation in SITUATIONS}
    wrong = [client for client, found in verdicts.items() if found != right]
    return f"not as it must be: {', '.join(wrong)}" if wrong else "right in all five situations"


def _table(head: Sequence[str], body: Iterable[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "| " + " | ".join("---" for _ in head) + " |"
    for row in body:
        yield "| " + " | ".join(row) + " |"
    yield ""


if __name__ == "__main__":
    main(*sys.argv[1:])
