"""Break the Windows verifier on purpose, one mistake at a time, and see that a test notices each.

    python tests/windows/mutations.py [WORD ...]

Runs in a copy of the source tree, on any OS, with the pytest of the interpreter that runs it. Prints one line per
mutation (those alone whose description holds every WORD) and exits non-zero if one survived, or no longer applies.
"""

from __future__ import annotations

import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
VERIFIER = "truststore/_backends/windows.py"
BINDINGS = "truststore/_ffi/crypt32.py"
CONTEXT = "truststore/_context.py"
CONTRACT = "truststore/_verify.py"
ALL_TESTS = ("tests/windows",)
# Without the common fixtures, which load more than these tests take.
LAYOUT_TESTS = ("--noconftest", "tests/windows/test_layout.py")


class Mutation(NamedTuple):
    """One mistake: `old`, which occurs once in `file`, becomes `new`."""

    what: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...] = ALL_TESTS


def _verifier(what: str, old: str, new: str) -> Mutation:
    return Mutation(what, VERIFIER, old, new)


def _check_dropped(call: str) -> Mutation:
    return _verifier(f"failure of {call} ignored", f'raise self._failure("{call}")', "pass")


def _release_forgotten(release: str) -> Mutation:
    pattern = rf'with self\._released\("{release}"[^:]*:'
    [found] = set(re.findall(pattern, (REPOSITORY / VERIFIER).read_text()))
    return _verifier(f"{release} forgotten", found, "with contextlib.nullcontext():")


def _store_kept_open(what: str, followed_by: str) -> Mutation:
    rest = f"            yield store\n\n    @contextlib.contextmanager\n    def {followed_by}"
    return _verifier(what, f'        with self._released("CertCloseStore", store, 0):\n{rest}', rest[4:])


TRUST = [
    _verifier("no exclusive root", "                hExclusiveRoot=trusted,\n", ""),
    _verifier("engine not passed", "verdict = api.judge(engine, leaf", "verdict = api.judge(DEFAULT_ENGINE, leaf"),
    _verifier("engine of extra anchors is NULL", "            if not engine:\n", "            if False:\n"),
    _verifier("second chance whatever the fault", "and verdict.lacks_only_a_root(options.revocation)", ""),
    _verifier("second chance besides another fault", " and not self.trust_errors & ~missing", ""),
    _verifier(
        "second chance for a chain that is trusted", "bool(self.trust_errors & _NO_TRUSTED_ROOT) and", "True and"
    ),
    _verifier("second chance without extra anchors", "if options.extra_anchors and verdict", "if verdict"),
    _verifier(
        "no second chance with revocation", "            missing |= _REVOCATION_UNKNOWN", "            missing |= 0 #"
    ),
    _verifier("unknown revocation always gets a second chance", "if revocation is not Revocation.NONE:", "if True:"),
    _verifier(
        "extra anchors do not help to build the chain",
        "                    api.add(offered, der)  #",
        "                    pass  #",
    ),
    _verifier("intermediates dropped", "for der in chain[1:]:", "for der in chain[:0]:"),
    _verifier(
        "additional store not passed",
        "            offered,\n            ctypes",
        "            None,\n            ctypes",
    ),
    _verifier("usage dropped", "cUsageIdentifier = len(usages)", "cUsageIdentifier = 0"),
    _verifier("usage of clients", "(crypt32.szOID_PKIX_KP_SERVER_AUTH)", '(b"1.3.6.1.5.5.7.3.2")'),
]

VERDICT = [
    _check_dropped("CertVerifyCertificateChainPolicy"),
    _verifier("dwError ignored", "return self.policy_error == 0 and ", "return "),
    _verifier("chain status ignored", " and self.trust_errors == 0", ""),
    _verifier("empty chain accepted", " and self.length > 0", ""),
    _verifier("no chain at all accepted", "raise verification_error(Reason.NO_CERTIFICATE)", "return"),
    _verifier("verdict ignored", "        if not verdict.accepted:\n", "        if False:\n"),
    _verifier("an untouched policy status is success", "dwError=crypt32.TRUST_E_FAIL", "dwError=0"),
    _verifier("policy told to ignore faults", "dwFlags=0,  # nothing", "dwFlags=0x10,  # nothing"),
    _verifier("policy for clients", "dwAuthType=crypt32.AUTHTYPE_SERVER", "dwAuthType=1"),
    _verifier("another policy", "            crypt32.CERT_CHAIN_POLICY_SSL,\n", "            1,\n"),
    _verifier("too early is taken for too late", "verdict.time_validity < 0", "verdict.time_validity > 0"),
    _verifier(
        "chain that is NULL",
        "        if not chain:\n            raise machinery",
        "        if False:\n            raise machinery",
    ),
    _check_dropped("CertGetCertificateChain"),
    _check_dropped("CertCreateCertificateChainEngine"),
    _verifier("undecodable leaf passed on", 'raise self._undecodable("CertCreateCertificateContext")', "pass"),
    _verifier("undecodable issuer left out", 'raise self._undecodable("CertAddEncodedCertificateToStore")', "pass"),
    _verifier("codes lose their reason", "_REASON_BY_HRESULT.get(code, Reason.OTHER)", "Reason.OTHER"),
    _verifier("texts with inserts", "            | crypt32.FORMAT_MESSAGE_IGNORE_INSERTS\n", ""),
]

NAME = [
    _verifier("server name dropped", "ssl_parameters.pwszServerName = crypt32.wide_string(server_name)", "pass"),
    _verifier(
        "server name never checked",
        "        if server_name is None:\n            ssl",
        "        if True:\n            ssl",
    ),
    _verifier("name after a zero cut off", ' or "\\0" in name', ""),
    _verifier("empty name passed on", "if not name or", "if"),
    _verifier("trailing dot kept", 'server_name.removesuffix(".")', "server_name"),
    _verifier("IP addresses as they come", "return _ip_address(name) or name", "return name"),
]

REVOCATION = [
    _verifier("LEAF treated as CHAIN by the verifier", "CHECK_END_CERT |", "CHECK_CHAIN_EXCLUDE_ROOT |"),
    _verifier(
        "CHAIN treated as LEAF by the verifier",
        "crypt32.CERT_CHAIN_REVOCATION_CHECK_CHAIN_EXCLUDE_ROOT | crypt32",
        "crypt32.CERT_CHAIN_REVOCATION_CHECK_END_CERT | crypt32",
    ),
    Mutation(
        "LEAF treated as CHAIN by the contract",
        CONTRACT,
        "if verify_flags & chain == chain:",
        "if verify_flags & chain:",
    ),
    _verifier("fetches for revocation unless told not to", "crypt32.CERT_CHAIN_REVOCATION_CHECK_CACHE_ONLY", "0"),
    _verifier("revocation checked unless told not to", "CHECK_CACHE_ONLY,", "CHECK_END_CERT,"),
    _verifier("retrieval without a bound", "URL_RETRIEVAL_TIMEOUT_MS = 10_000", "URL_RETRIEVAL_TIMEOUT_MS = 0"),
    _verifier(
        "revocation not checked",
        "            _CHAIN_FLAGS[revocation],",
        "            _CHAIN_FLAGS[Revocation.NONE],",
    ),
]

RELEASE = [
    *(
        _release_forgotten(release)
        for release in (
            "CertFreeCertificateContext",
            "CertFreeCertificateChainEngine",
            "CertFreeCertificateChain",
        )
    ),
    _store_kept_open("memory stores not closed", followed_by="system_store"),
    _store_kept_open("system stores not closed", followed_by="exclusive_engine"),
    _verifier(
        "no release after an exception", "            function(*arguments)\n            raise", "            raise"
    ),
    _verifier("a release that fails is overlooked", "raise self._failure(release)", "pass"),
    _verifier(
        "context of a broken enumeration kept",
        "                    self._call.CertFreeCertificateContext(context)\n",
        "",
    ),
    _verifier("enumeration starts over and leaks", "                previous = context\n", ""),
]

ROOTS = [
    _verifier("disallowed roots listed", "der not in disallowed and ", ""),
    _verifier("purposes not respected", "purpose is None or self._is_good_for(context, purpose)", "True"),
    _verifier("malformed entries listed", " and _is_one_sequence(der)", ""),
    _verifier("no usage taken for every usage", "            return unrestricted\n", "            return True\n"),
    _check_dropped("CertEnumCertificatesInStore"),
]

CONTEXT_MUTATIONS = [
    Mutation(
        "CERT_NONE not skipped",
        CONTEXT,
        "if _Raw.verify_mode.__get__(self) == ssl.CERT_NONE:",
        "if False:",
    ),
    Mutation(
        "CERT_OPTIONAL skipped on a client",
        CONTEXT,
        "if _Raw.verify_mode.__get__(self) == ssl.CERT_NONE:",
        "if _Raw.verify_mode.__get__(self) != ssl.CERT_REQUIRED:",
    ),
    Mutation(
        "name passed with check_hostname off",
        CONTEXT,
        "server_name=server_hostname if check_hostname else None",
        "server_name=server_hostname",
    ),
]


def _members() -> list[Mutation]:
    """Each member of each structure left out."""
    text = (REPOSITORY / BINDINGS).read_text()
    found = []
    for structure in re.finditer(r"class (\w+)\(Structure\):.*?_fields_ = \[\n(.*?)    \]\n", text, re.DOTALL):
        for line in structure[2].splitlines(keepends=True):
            member = line.split('"')[1]
            old, new = structure[0], structure[0].replace(line, "", 1)
            found.append(Mutation(f"member {structure[1]}.{member} removed", BINDINGS, old, new, LAYOUT_TESTS))
    if len(found) < 60:
        raise SystemExit(f"found only {len(found)} members of structures in {BINDINGS}")
    return found


def all_mutations() -> list[Mutation]:
    return [*TRUST, *VERDICT, *NAME, *REVOCATION, *RELEASE, *ROOTS, *CONTEXT_MUTATIONS, *_members()]


def passes(tree: pathlib.Path, tests: tuple[str, ...]) -> bool:
    """Whether the tests pass in `tree`. Without any test, or without pytest, the question has no answer: exit."""
    result = subprocess.run(
        [*(sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "--tb=no", "-p", "no:cacheprovider"), *tests],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=120,
    )
    if result.returncode not in (0, 1, 2) or " no tests ran" in result.stdout or "No module named" in result.stdout:
        raise SystemExit(f"pytest could not judge {tests}:\n{result.stdout}")
    return result.returncode == 0


def survives(mutation: Mutation, tree: pathlib.Path) -> bool:
    """Applies the mutation in `tree`, runs the tests, and takes it back."""
    file = tree / mutation.file
    original = file.read_text()
    if original.count(mutation.old) != 1:
        raise SystemExit(f"{mutation.what}: found {original.count(mutation.old)} times in {mutation.file}")
    mutated = original.replace(mutation.old, mutation.new)
    compile(mutated, mutation.file, "exec")  # a mistake, not a typing error
    file.write_text(mutated)
    try:
        return passes(tree, mutation.tests)
    finally:
        file.write_text(original)


def _copy(folder: str) -> pathlib.Path:
    tree = pathlib.Path(folder)
    for name in ("truststore", "tests"):
        shutil.copytree(REPOSITORY / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "truststore_autoinject.py"):
        shutil.copy(REPOSITORY / name, tree)
    return tree


def main(words: list[str]) -> None:
    started = time.monotonic()
    chosen = [mutation for mutation in all_mutations() if all(word in mutation.what for word in words)]
    workers = min(2, os.cpu_count() or 1)
    survivors = []
    with tempfile.TemporaryDirectory() as scratch, concurrent.futures.ThreadPoolExecutor(workers) as pool:
        trees = [_copy(f"{scratch}/{number}") for number in range(workers)]
        if not passes(trees[0], ALL_TESTS):
            raise SystemExit("the tests fail without any mutation")
        shares = [pool.submit(_judge, chosen[number::workers], tree) for number, tree in enumerate(trees)]
        for share in shares:
            survivors += share.result()
    print(
        f"mutations: {len(chosen) - len(survivors)} passed, {len(survivors)} failed"
        f" in {time.monotonic() - started:.0f} s (passed: a test noticed)"
    )
    if survivors or not chosen:
        raise SystemExit(f"not noticed: {', '.join(survivors) or 'nothing was chosen'}")


def _judge(share: list[Mutation], tree: pathlib.Path) -> list[str]:
    survivors = []
    for mutation in share:
        survived = survives(mutation, tree)
        print("SURVIVED" if survived else "caught", "-", mutation.what, flush=True)
        if survived:
            survivors.append(mutation.what)
    return survivors


if __name__ == "__main__":
    main(sys.argv[1:])
