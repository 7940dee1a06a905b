"""The bindings against what pyobjc publishes about the frameworks (see `regenerate_signatures.py`), and the double
against the bindings."""

from __future__ import annotations

import ctypes
import json
import pathlib
from ctypes import c_bool, c_char_p, c_double, c_int32, c_long, c_uint32, c_ulong, c_void_p
from typing import Any

import pytest

from macos.framework_double import Double
from truststore._backends import macos as backend
from truststore._ffi import corefoundation, security
from truststore._ffi.corefoundation import BORROWED, NOTHING, OWNED, Signature

TABLE: dict[str, Any] = json.loads(pathlib.Path(__file__).with_name("signatures.json").read_text())

PATHS = {"CoreFoundation": corefoundation.PATH, "Security": security.PATH}

BOUND = [
    (framework, signature)
    for framework, signatures in (("CoreFoundation", corefoundation.SIGNATURES), ("Security", security.SIGNATURES))
    for signature in signatures
]

# Where the metadata is silent and the header is not: SecTrust.h marks `*trust` as CF_RETURNS_RETAINED.
OWNED_ARGUMENTS = {"SecTrustCreateWithCertificates": [2]}

# Not in the metadata. SecBasePriv.h has errSecInternal; CFDate.h the interval, in words.
UNPUBLISHED = {"errSecInternal", "kCFAbsoluteTimeIntervalSince1970"}

# Objective-C type encodings on a 64-bit Mac; a Boolean (Z) and a C bool (B) are one byte each.
SCALARS = {
    "v": None,
    "Z": c_bool,
    "B": c_bool,
    "i": c_int32,
    "I": c_uint32,
    "q": c_long,
    "Q": c_ulong,
    "d": c_double,
    "@": c_void_p,
}
CLOSING = {"{": "}", "(": ")"}


def types_of(encoding: str) -> list[str]:
    """The single types of an encoding, the result first: `i@o^I` is `i`, `@`, `o^I`."""
    types = []
    while encoding:
        end = 0
        while encoding[end] in "nNoOrRV^":
            end += 1
        if encoding[end] in CLOSING:
            depth = 1
            while depth:
                end += 1
                depth += (encoding[end] in CLOSING) - (encoding[end] in CLOSING.values())
        types.append(encoding[: end + 1])
        encoding = encoding[end + 1 :]
    return types


def binding_of(encoding: str) -> Any:
    """The ctypes type for one type of an encoding."""
    encoding = encoding.lstrip("nNoOrRV")
    if not encoding.startswith("^"):
        return SCALARS[encoding]
    target = encoding[1:]
    if target in SCALARS and target != "v":
        return ctypes.POINTER(SCALARS[target])
    return c_void_p  # bytes, a structure, an opaque object


@pytest.mark.parametrize(("framework", "signature"), BOUND, ids=[signature.name for _, signature in BOUND])
def test_signature_is_the_published_one(framework: str, signature: Signature) -> None:
    published = TABLE["functions"][signature.name]
    result, *arguments = types_of(published["encoding"])
    assert published["framework"] == framework
    # CFArrayCreate's values are published as one of the many forms of "pointer to references".
    assert [binding_of(each) for each in arguments] == list(signature.arguments)
    assert binding_of(result) == signature.result
    owned_arguments = OWNED_ARGUMENTS.get(signature.name, published["owned_arguments"])
    if signature.result is c_void_p:
        # CFDataGetBytePtr gives a pointer into an object, which counts as borrowed.
        expected = OWNED if published["owned_result"] else BORROWED
        assert owned_arguments == []
    else:
        expected = OWNED if owned_arguments else NOTHING
        assert owned_arguments in ([], [len(arguments) - 1])
    assert signature.ownership == expected


def test_references_are_never_c_char_p() -> None:
    """ctypes would turn such a result into bytes and lose the reference."""
    for _, signature in BOUND:
        assert c_char_p not in (signature.result, *signature.arguments)


@pytest.mark.parametrize("module", [corefoundation, security])
def test_constants_are_the_published_ones(module: Any) -> None:
    names = [name for name in vars(module) if name.startswith(("kCF", "kSec", "errSec"))]
    assert names
    for name in set(names) - UNPUBLISHED:
        assert getattr(module, name) == TABLE["constants"][name], name


def test_verdicts_carry_the_names_of_their_codes() -> None:
    for code, (name, _, _) in backend._VERDICTS.items():
        assert TABLE["constants"][name] == code
    for code, (name, _) in backend._OLD_RESULTS.items():
        assert TABLE["constants"][name] == code
    assert not set(backend._VERDICTS) & backend._NO_VERDICT


def test_double_exports_each_function_where_macos_does(double: Double) -> None:
    for framework, signature in BOUND:
        assert hasattr(double.libraries[PATHS[framework]], signature.name)
    for name, published in TABLE["functions"].items():
        assert hasattr(double.libraries[PATHS[published["framework"]]], name)


def test_each_bound_function_is_used_with_its_table() -> None:
    """A row that nobody uses is a row that nobody tests."""
    sources = [path.read_text() for path in (pathlib.Path(corefoundation.__file__), pathlib.Path(backend.__file__))]
    for _, signature in BOUND:
        assert any(f".{signature.name}" in source for source in sources), signature.name
