"""Breaks the macOS verifier in one place at a time, and checks that a test notices each break.

    python tests/macos/mutations.py [WORDS IN A TITLE]

Each mutant is a copy of the package and the tests, with one text replaced. A mutant that all tests accept means that a
test is missing. Prints one line per mutant and a closing line; exits 1 unless every mutant was caught.
"""

# ruff: noqa: E501  # one mutant a line

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from macos.framework_double import PREBUILT, build  # noqa: E402

BACKEND = "truststore/_backends/macos.py"
CF = "truststore/_ffi/corefoundation.py"
SECURITY = "truststore/_ffi/security.py"

# Title, file, what is replaced (once), by what.
MUTANTS = [
    # -- ownership
    ("nothing is released", CF, "            core_foundation().CFRelease(self._owned.pop())", "            self._owned.pop()"),
    ("references are released twice", CF, "CFRelease(self._owned.pop())", "CFRelease(self._owned[-1]) or core_foundation().CFRelease(self._owned.pop())"),
    ("nothing is remembered to be released", CF, "        self._owned.append(reference)\n", ""),
    ("items are released before the array holds them", CF, "        values = (c_void_p * len(items))(*items)\n", "        values = (c_void_p * len(items))(*items)\n        [framework.CFRelease(item) for item in items]\n"),
    ("the CFError is not released", BACKEND, '        references.own(error.value, "SecTrustEvaluateWithError")\n', "        pass\n"),
    ("the description is not released", BACKEND, '        references.own(description, "CFErrorCopyDescription")\n', "        pass\n"),
    ("the trust object is not released", BACKEND, '    return references.own(trust.value, "SecTrustCreateWithCertificates")', "    return trust.value"),
    ("the words for a status are not released", BACKEND, 'cf.text_of(references.own(string, "SecCopyErrorMessageString"))', "cf.text_of(string)"),
    ("certificates are not released", BACKEND, 'return references.own(certificate, "SecCertificateCreateWithData") if certificate else None', "return certificate"),
    ("lists of anchors are not released", BACKEND, 'cf.items_of(references.own(array.value, "SecTrustCopyAnchorCertificates"))', "cf.items_of(array.value)"),
    ("a borrowed domain is released", BACKEND, "    domain = cf.text_of(framework.CFErrorGetDomain(error))\n", '    domain = cf.text_of(references.own(framework.CFErrorGetDomain(error), ""))\n    framework.CFRelease(description)\n'),
    # -- anchors that are kept
    ("anchors are kept for others", BACKEND, " or kept.ders != anchors:", ":"),
    ("as many anchors are the same anchors", BACKEND, "kept.ders != anchors", "len(kept.ders) != len(anchors)"),
    ("a child uses its parent's anchors", BACKEND, " or kept.process != os.getpid()", ""),
    ("a child releases its parent's anchors", BACKEND, "while self._owned and self.process == current_process():", "while self._owned:"),
    ("no anchors are kept", BACKEND, "kept = self._kept = _Anchors(anchors)", "kept = _Anchors(anchors)"),
    ("kept anchors are never released", BACKEND, "            self._release(self._owned.pop())", "            self._owned.pop()"),
    ("anchors that cannot be made are not released", BACKEND, "            self.__exit__()\n            raise\n", "            self._owned.clear()\n            raise\n"),
    ("kept anchors are released by a name that may be gone", BACKEND, "            self._release(self._owned.pop())", "            core_foundation().CFRelease(self._owned.pop())"),
    ("another verification's anchors are released at once", BACKEND, "            kept = self._kept = _Anchors(anchors)", "            if kept is not None:\n                kept.__exit__()\n            kept = self._kept = _Anchors(anchors)"),
    # -- NULL
    ("NULL is owned", CF, '            raise machinery_error(call, "it returned NULL")\n', "            pass\n"),
    ("NULL of the TLS policy is passed on", BACKEND, 'references.own(security().SecPolicyCreateSSL(True, _server_name(references, options)), "SecPolicyCreateSSL")', "security().SecPolicyCreateSSL(True, _server_name(references, options))"),
    ("NULL of the revocation policy is passed over", BACKEND, 'policies.append(references.own(policy, "SecPolicyCreateRevocation"))', 'policy and policies.append(references.own(policy, "SecPolicyCreateRevocation"))'),
    ("a name that cannot be made means no name", CF, '        return self.own(\n            core_foundation().CFStringCreateWithBytes(', '        return (lambda reference, call: reference and self.own(reference, call))(\n            core_foundation().CFStringCreateWithBytes('),
    ("NULL of the trust object is passed on", BACKEND, '    return references.own(trust.value, "SecTrustCreateWithCertificates")', '    return trust.value and references.own(trust.value, "")'),
    ("a certificate that macOS cannot parse is left out", BACKEND, "[_peer_certificate(references, der, index) for index, der in enumerate(chain)]", "[each for each in (_certificate(references, der) for der in chain) if each]"),
    ("an anchor that macOS cannot parse is left out", BACKEND, "[_anchor(self, der, index) for index, der in enumerate(ders)]", "[each for each in (_certificate(self, der) for der in ders) if each]"),
    # -- bindings
    ("CFDataCreate's result is cut", CF, 'Signature("CFDataCreate", (c_void_p, c_void_p, c_long), c_void_p, OWNED)', 'Signature("CFDataCreate", (c_void_p, c_void_p, c_long), c_int32, OWNED)'),
    ("SecPolicyCreateSSL's result is cut", SECURITY, 'Signature("SecPolicyCreateSSL", (c_bool, c_void_p), c_void_p, OWNED)', 'Signature("SecPolicyCreateSSL", (c_bool, c_void_p), c_int32, OWNED)'),
    ("the verdict is read as an int", SECURITY, "(c_void_p, POINTER(c_void_p)), c_bool, OWNED, optional=True)", "(c_void_p, POINTER(c_void_p)), c_int32, OWNED, optional=True)"),
    ("CFArrayCreate's callbacks are cut", CF, "POINTER(c_void_p), c_long, c_void_p), c_void_p, OWNED)", "POINTER(c_void_p), c_long, c_uint32), c_void_p, OWNED)"),
    ("CFRelease takes 32 bits", CF, 'Signature("CFRelease", (c_void_p,)', 'Signature("CFRelease", (c_uint32,)'),
    ("option flags of 32 bits", SECURITY, 'Signature("SecPolicyCreateRevocation", (c_ulong,)', 'Signature("SecPolicyCreateRevocation", (c_uint32,)'),
    ("an owned result is said to be borrowed", CF, 'Signature("CFErrorCopyDescription", (c_void_p,), c_void_p, OWNED)', 'Signature("CFErrorCopyDescription", (c_void_p,), c_void_p, BORROWED)'),
    ("a misspelt function", SECURITY, '"SecTrustSetAnchorCertificatesOnly", (', '"SecTrustSetAnchorCertificateOnly", ('),
    ("a wrong framework path", SECURITY, "Security.framework/Security", "Security/Security"),
    ("array callbacks of NULL", CF, "framework.CFArrayCreate(None, values, len(items), callbacks)", "framework.CFArrayCreate(None, values, len(items), None)"),
    ("array callbacks by value", CF, 'callbacks = framework.address_of("kCFTypeArrayCallBacks")', 'callbacks = framework.address_of("kCFTypeArrayCallBacks") + 8'),
    ("a wrong constant", SECURITY, "kSecRevocationRequirePositiveResponse = 8", "kSecRevocationRequirePositiveResponse = 4"),
    ("a wrong code", SECURITY, "errSecHostNameMismatch = -67602", "errSecHostNameMismatch = -67601"),
    ("the error's code of the wrong object", BACKEND, "framework.CFErrorGetCode(error)", "framework.CFErrorGetCode(chain and framework.CFErrorGetDomain(error))"),
    # -- anchors
    ("extra anchors are not set", BACKEND, "        if not anchors and not only:\n", "        if True:\n"),
    ("the system's anchors stay off", BACKEND, '        _check(security().SecTrustSetAnchorCertificatesOnly(trust, only), "SecTrustSetAnchorCertificatesOnly")\n', ""),
    ("only the extra anchors count", BACKEND, "SecTrustSetAnchorCertificatesOnly(trust, only)", "SecTrustSetAnchorCertificatesOnly(trust, True)"),
    ("the system's anchors always count", BACKEND, "SecTrustSetAnchorCertificatesOnly(trust, only)", "SecTrustSetAnchorCertificatesOnly(trust, False)"),
    ("the system's anchors are switched on too early", BACKEND, '        _check(security().SecTrustSetAnchorCertificates(trust, native.reference), "SecTrustSetAnchorCertificates")\n', '        security().SecTrustSetAnchorCertificatesOnly(trust, only)\n        _check(security().SecTrustSetAnchorCertificates(trust, native.reference), "SecTrustSetAnchorCertificates")\n        return\n'),
    ("no anchors at all means the system's", BACKEND, "        if not anchors and not only:\n", "        if not anchors:\n"),
    ("the moment is ignored", BACKEND, "        if self._moment is not None:\n".replace("        if", "            if"), "            if False:\n"),
    # -- policy
    ("the name is never passed on", BACKEND, "SecPolicyCreateSSL(True, _server_name(references, options))", "SecPolicyCreateSSL(True, None)"),
    ("an empty name means no name", BACKEND, "    if options.server_name is None:\n        return None", "    if not options.server_name:\n        return None"),
    ("the name is always checked", BACKEND, "    if options.server_name is None:\n        return None", '    if options.server_name is None:\n        return references.string("")'),
    ("the policy for clients", BACKEND, "SecPolicyCreateSSL(True, _server", "SecPolicyCreateSSL(False, _server"),
    ("the chain is reversed", BACKEND, "for index, der in enumerate(chain)]", "for index, der in enumerate(reversed(chain))]"),
    ("only the leaf is passed on", BACKEND, "for index, der in enumerate(chain)]", "for index, der in enumerate(chain[:1])]"),
    ("revocation without a positive answer", BACKEND, "sec.kSecRevocationUseAnyAvailableMethod | sec.kSecRevocationRequirePositiveResponse", "sec.kSecRevocationUseAnyAvailableMethod"),
    ("the revocation policy is made, not used", BACKEND, '        policies.append(references.own(policy, "SecPolicyCreateRevocation"))', '        references.own(policy, "SecPolicyCreateRevocation")'),
    ("revocation is always asked for", BACKEND, "    if options.revocation is Revocation.CHAIN:\n", "    if True:\n"),
    ("LEAF is CHAIN", BACKEND, "        if options.revocation is Revocation.LEAF:\n", "        if False:\n"),
    ("an empty chain is passed on", BACKEND, "        if not chain:\n", "        if False:\n"),
    # -- verdict
    ("the verdict is ignored", BACKEND, "    if trusted is True and not error.value:\n", "    if True:\n"),
    ("no error object means trust", BACKEND, "    if trusted is True and not error.value:\n", "    if not error.value:\n"),
    ("a verdict without reason is trust", BACKEND, '        raise machinery_error("SecTrustEvaluateWithError", f"it gave no reason: {_NO_TRUSTD}")', "        return"),
    ("a refusal is made, not raised", BACKEND, "    raise _refusal(references", "    _refusal(references"),
    ("an unreachable trustd is a verdict", BACKEND, "or code in _NO_VERDICT", ""),
    ("a foreign error domain is a verdict", BACKEND, 'if domain != "NSOSStatusErrorDomain" or code in _NO_VERDICT:', "if code in _NO_VERDICT:"),
    ("the status of the trust object is ignored", BACKEND, '    _check(status, "SecTrustCreateWithCertificates")\n', ""),
    ("the status of setting anchors is ignored", BACKEND, '_check(security().SecTrustSetAnchorCertificates(trust, native.reference), "SecTrustSetAnchorCertificates")', "security().SecTrustSetAnchorCertificates(trust, native.reference)"),
    ("the status of switching anchors on is ignored", BACKEND, '_check(security().SecTrustSetAnchorCertificatesOnly(trust, only), "SecTrustSetAnchorCertificatesOnly")', "security().SecTrustSetAnchorCertificatesOnly(trust, only)"),
    ("the status of the moment is ignored", BACKEND, '                _check(status, "SecTrustSetVerifyDate")\n', ""),
    ("no status is ever a failure", BACKEND, "    if status != sec.errSecSuccess:\n        words", "    if status > 0:\n        words"),
    ("old systems: the result is ignored", BACKEND, "    if result.value in (sec.kSecTrustResultProceed, sec.kSecTrustResultUnspecified):\n", "    if True:\n"),
    ("old systems: a recoverable failure is trust", BACKEND, "    if result.value in (sec.kSecTrustResultProceed, sec.kSecTrustResultUnspecified):\n", "    if result.value in (1, 4, 5):\n"),
    ("old systems: the status is ignored", BACKEND, '    if status != sec.errSecSuccess:\n        raise machinery_error("SecTrustEvaluate"', '    if False:\n        raise machinery_error("SecTrustEvaluate"'),
    ("old systems: any version is taken", BACKEND, "        if version and version < OLDEST:\n", "        if False:\n"),
    ("a mismatch of IP addresses is one of names", BACKEND, "            reason = Reason.WRONG_IP_ADDRESS\n", "            pass\n"),
    ("a self-signed leaf is an untrusted root", BACKEND, "        reason = Reason.SELF_SIGNED\n", "        pass\n"),
    # -- words
    ("words are cut at 1024 bytes", CF, "    buffer = ctypes.create_string_buffer(size + 1)\n", "    size = min(size, 1023)\n    buffer = ctypes.create_string_buffer(size + 1)\n"),
    ("words are read as Latin-1", CF, 'buffer.value.decode("utf-8", "replace")', 'buffer.value.decode("latin-1")'),
    ("words come with control characters", BACKEND, "words = _printable(cf.text_of(description))", "words = cf.text_of(description)"),
    ("one byte too little for words", CF, "CFStringGetCString(string, buffer, size + 1,", "CFStringGetCString(string, buffer, units,"),
    # -- loading
    ("the frameworks are loaded at import", BACKEND, "\nOLDEST = (10, 8)\n", "\nOLDEST = (10, 8)\ncore_foundation()\n"),
    ("the frameworks are loaded by the constructor", BACKEND, "        self._moment = moment\n", "        self._moment = moment\n        security()\n"),
    # -- roots
    ("roots: denials are ignored", BACKEND, "return [der for der in ders if der not in denied]", "return list(ders)"),
    ("roots: the user's denials are ignored", BACKEND, "for domain in (sec.kSecTrustSettingsDomainUser, sec.kSecTrustSettingsDomainAdmin)", "for domain in (sec.kSecTrustSettingsDomainAdmin,)"),
    ("roots: the administrator's are left out", BACKEND, "                    found.append(certificate)\n", "                    pass\n"),
    ("roots: settings for mail count", BACKEND, "        return bool(oid and framework.CFEqual(oid, self._tls_oid))", "        return True"),
    ("roots: trust for one host counts", BACKEND, "for key in self._limit_keys):\n            return False", "for key in self._limit_keys):\n            return True"),
    ("roots: a missing result is no trust", BACKEND, "            return sec.kSecTrustSettingsResultTrustRoot\n", "            return 4\n"),
    ("roots: no constraints are no trust", BACKEND, "        return True if not constraints or any(", "        return True if any("),
]  # fmt: skip


def run(mutant: tuple[str, str, str, str], double: pathlib.Path) -> tuple[bool, str]:
    """Whether the tests noticed, and the first of them that did."""
    _, file, old, new = mutant
    with tempfile.TemporaryDirectory() as name:
        copy = pathlib.Path(name)
        for part in ("truststore", "tests"):
            shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", copy)
        source = (copy / file).read_text()
        if old:
            assert source.count(old) >= 1, f"{file} has no {old!r}"
            (copy / file).write_text(source.replace(old, new, 1))
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "tests/macos", "-x", "-q", "-p", "no:cacheprovider", "--tb=no"],
            cwd=copy,
            env={**os.environ, PREBUILT: str(double), "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=300,
        )
    lines = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return done.returncode != 0, lines[0] if lines else f"exit status {done.returncode}"


def main(words: str) -> int:
    chosen = [mutant for mutant in MUTANTS if words in mutant[0]]
    with tempfile.TemporaryDirectory() as name:
        double = build(pathlib.Path(name))
        noticed, by = run(("unchanged", BACKEND, "", ""), double)
        if noticed:
            print(f"the unchanged package fails: {by}")
            return 1
        caught = 0
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for mutant, (noticed, by) in zip(chosen, pool.map(lambda it: run(it, double), chosen), strict=True):
                caught += noticed
                print(
                    f"{'caught' if noticed else 'MISSED'}  {mutant[0]}: {by[:120] if noticed else mutant[1]}",
                    flush=True,
                )
    print(f"mutants: {caught} passed, {len(chosen) - caught} failed")
    return 0 if caught == len(chosen) else 1


if __name__ == "__main__":
    raise SystemExit(main(" ".join(sys.argv[1:])))
