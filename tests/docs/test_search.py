"""What people ask can be found by the site's search in one try.

The built site's index is asked as its script asks it: every word of the question, stemmed, must be on the page (or be
part of a word there), and a word in a title counts three times as much as one in the text. The page that answers must
be among the first five.
"""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys

import pytest
from harness.environment import missing
from harness.pages import DOCS

pytestmark = pytest.mark.documentation

# (what somebody types, the page that answers): wishes and complaints that users of such tools have voiced in public.
QUESTIONS = (
    ("every environment image venv", "how-to/images"),
    ("RecursionError", "explanation/differences"),
    ("pip RecursionError", "how-to/migrate"),
    ("pin CA only", "explanation/trust"),
    ("server client certificates", "explanation/trust"),
    ("Missing Authority Key Identifier", "how-to/inspecting-proxy"),
    ("Basic Constraints not marked critical", "how-to/inspecting-proxy"),
    ("VERIFY_X509_STRICT", "explanation/trust"),
    ("TRUSTSTORE_EXTRA_CA_CERTS", "reference/environment"),
    ("precedence", "reference/environment"),
    ("container no store", "how-to/containers"),
    ("ca-certificates slim image", "how-to/images"),
    ("cost handshake", "explanation/hook"),
    ("threads lock", "explanation/differences"),
    ("get_ca_certs", "reference/api"),
    ("sni_callback", "explanation/differences"),
    ("asyncio", "how-to/one-context"),
    ("requests adapter", "how-to/one-context"),
    ("httpx", "how-to/one-context"),
    ("aiohttp", "how-to/one-context"),
    ("urllib3", "how-to/one-context"),
    ("pip cert old", "how-to/inspecting-proxy"),
    ("pip install behind proxy", "how-to/inspecting-proxy"),
    ("docker pip proxy", "how-to/inspecting-proxy"),
    ("corporate proxy", "how-to/inspecting-proxy"),
    ("PIP_CERT", "how-to/inspecting-proxy"),
    ("CURL_CA_BUNDLE", "how-to/other-tools"),
    ("Jupyter", "how-to/inspecting-proxy"),
    ("unable to get local issuer certificate", "how-to/diagnose"),
    ("self-signed certificate in certificate chain", "how-to/diagnose"),
    ("hostname mismatch", "how-to/diagnose"),
    ("macOS not standards compliant", "how-to/diagnose"),
    ("no system trust store was found", "how-to/diagnose"),
    ("offline wheelhouse", "how-to/recipes"),
    ("mTLS server client certificates", "explanation/trust"),
    ("both truststore installed", "how-to/migrate"),
    ("NotImplementedError", "explanation/differences"),
    ("subprocess child processes", "explanation/limits"),
    ("sudo cron", "how-to/switch-off"),
    ("verify=False", "how-to/migrate"),
    ("macOS standards", "platforms/macos"),
    ("825 days", "platforms/macos"),
    ("Windows roots demand", "reference/platforms"),
    ("revocation", "reference/platforms"),
    ("CRL revocation Windows", "platforms/windows"),
    ("startup cost", "explanation/hook"),
    ("pth malware", "security/scanners"),
    ("scanner pth", "security/scanners"),
    (".start PEP 829", "explanation/hook"),
    ("hash startup line", "security/startup-line"),
    ("disable", "how-to/switch-off"),
    ("switch off", "how-to/switch-off"),
    ("certifi", "explanation/certifi"),
    ("TRUSTSTORE_KEEP_BUNDLED", "reference/environment"),
    ("certifi appended root", "how-to/migrate"),
    ("RHEL bundle", "reference/platforms"),
    ("unknown issuer", "how-to/diagnose"),
    ("expired", "how-to/diagnose"),
    ("CERTIFICATE_VERIFY_FAILED", "tutorial/index"),
    ("check command", "reference/command-line"),
    ("grpc", "how-to/other-tools"),
    ("curl", "how-to/other-tools"),
    ("node", "how-to/other-tools"),
    ("AWS CLI", "how-to/other-tools"),
    ("conda", "reference/environment"),
    ("fork", "platforms/macos"),
    ("trustd sandbox", "platforms/macos"),
    ("event loop blocking", "explanation/limits"),
    ("pipx", "how-to/images"),
    ("build isolation", "how-to/inspecting-proxy"),
    ("PyInstaller", "how-to/frozen"),
    ("frozen", "how-to/frozen"),
    ("intermediate missing", "how-to/diagnose"),
    ("pip-system-certs", "how-to/migrate"),
    ("public truststore", "explanation/differences"),
    ("truststore distribution conflict", "how-to/migrate"),
    ("hashes require", "security/scanners"),
    ("verify False", "how-to/migrate"),
    ("PyPy", "reference/platforms"),
    ("export roots", "how-to/other-tools"),
    ("Android", "reference/platforms"),
    ("uninstall", "how-to/uninstall"),
    ("vulnerability report", "security/report"),
    ("threat model", "security/threat-model"),
    ("SSLKEYLOGFILE", "security/threat-model"),
    ("ctypes functions", "security/threat-model"),
    ("reproducible build", "security/scanners"),
    ("sitecustomize hash", "security/startup-line"),
    ("HOMEBREW_PREFIX", "reference/environment"),
    ("sitedir options", "reference/command-line"),
    ("Zscaler", "how-to/inspecting-proxy"),
    ("Dockerfile", "how-to/images"),
    ("Kubernetes", "how-to/containers"),
    ("client certificate before verdict", "explanation/limits"),
)  # fmt: skip
FIRST = 5


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """The index that the site's search script loads."""
    try:
        import furo  # noqa: F401
        import myst_parser  # noqa: F401
        import sphinx  # noqa: F401
    except ImportError:
        missing("the docs extra is not installed")
    site = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", DOCS, site / "html"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return read_index(site / "html" / "searchindex.js")


def read_index(file: pathlib.Path) -> dict[str, object]:
    text = file.read_text(encoding="utf-8")
    loaded: dict[str, object] = json.loads(text[text.index("{") : text.rindex("}") + 1])
    return loaded


def search(index: dict[str, object], query: str) -> list[str]:
    """The pages for `query`, the best first."""
    from sphinx.search.en import SearchEnglish

    language = SearchEnglish({})
    names: list[str] = index["docnames"]  # type: ignore[assignment]
    scores = dict.fromkeys(names, 0)
    for word in language.split(query):
        if not language.word_filter(word.lower()):
            continue
        found: dict[str, int] = {}
        for part, points in (("titleterms", 15), ("terms", 5)):
            for name, score in matching(index[part], language.stem(word.lower()), names, points):
                found[name] = max(found.get(name, 0), score)
        scores = {name: score + found[name] for name, score in scores.items() if name in found}
    return sorted(scores, key=lambda name: (-scores[name], name))


def matching(terms: object, stem: str, names: list[str], points: int) -> list[tuple[str, int]]:
    assert isinstance(terms, dict)
    found = []
    for term, documents in terms.items():
        if term == stem or (len(stem) > 2 and stem in term):
            for number in documents if isinstance(documents, list) else [documents]:
                found.append((names[number], points if term == stem else points // 2))
    return found


@pytest.mark.parametrize(("query", "page"), QUESTIONS, ids=[query for query, _ in QUESTIONS])
def test_a_question_finds_its_page(query: str, page: str, index: dict[str, object]) -> None:
    assert page in search(index, query)[:FIRST], search(index, query)


def test_nonsense_finds_nothing(index: dict[str, object]) -> None:
    assert search(index, "xylophone certifi") == []
