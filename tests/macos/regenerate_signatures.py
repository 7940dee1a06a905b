"""Regenerates `signatures.json`: signatures, ownership and constants of the frameworks, as pyobjc publishes them.

pyobjc's wheels for macOS carry metadata that was made from Apple's headers; it can be read anywhere:

    pip download --no-deps --only-binary=:all: --dest wheels --platform macosx_10_13_universal2 \\
        --python-version 3.12 --implementation cp --abi cp312 \\
        pyobjc-framework-Security==12.2.2 pyobjc-framework-Cocoa==12.2.2
    python tests/macos/regenerate_signatures.py wheels

The metadata is Python code, so only wheels with the digests below are read.
"""

from __future__ import annotations

import hashlib
import json
import pathlib
import sys
import types
import zipfile
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from truststore._ffi import corefoundation, security  # noqa: E402

OUTPUT = pathlib.Path(__file__).with_name("signatures.json")

# Framework -> wheel, SHA-256 of the wheel.
WHEELS = {
    "Security": (
        "pyobjc_framework_security-12.2.2-cp312-cp312-macosx_10_13_universal2.whl",
        "266f41995f2fc80660c8451bdb199a7e259a6cad02fbc1e0e2f69dd5576e2203",
    ),
    "CoreFoundation": (
        "pyobjc_framework_cocoa-12.2.2-cp312-cp312-macosx_10_13_universal2.whl",
        "e106f395531e67694376b0f1184612cbeea3ec8b9bf56b55ef41d026171d2a2d",
    ),
}

# What the double exports besides what the package binds.
ONLY_IN_THE_DOUBLE = (
    "CFGetRetainCount",
    "CFGetTypeID",
    "CFRetain",
    "SecPolicyCreateBasicX509",
    "SecTrustGetCertificateCount",
    "SecTrustGetTrustResult",
    "SecTrustSetNetworkFetchAllowed",
    "SecTrustSetOCSPResponse",
    "SecTrustSetPolicies",
)


class _Anything:
    """Stands for whatever the metadata asks of pyobjc's core."""

    def __call__(self, *arguments: object, **named: object) -> _Anything:
        return self

    def __getattr__(self, name: str) -> _Anything:
        return self


def metadata(directory: pathlib.Path, framework: str) -> dict[str, Any]:
    """The names that the wheel's metadata module defines. Raises `SystemExit` for an unexpected wheel."""
    name, digest = WHEELS[framework]
    content = (directory / name).read_bytes()
    if hashlib.sha256(content).hexdigest() != digest:
        raise SystemExit(f"{name} is not the wheel that this script knows")
    core: Any = types.ModuleType("objc")
    core.arch, core.NULL, core.__getattr__ = "arm64", None, lambda name: _Anything()
    sys.modules["objc"] = core
    names: dict[str, Any] = {}
    with zipfile.ZipFile(directory / name) as wheel:
        exec(compile(wheel.read(f"{framework}/_metadata.py"), name, "exec"), names)
    return names


def function(entry: tuple[Any, ...], framework: str) -> dict[str, Any]:
    """One function: its encoding (Objective-C type encodings, result first) and what it hands over."""
    details = entry[2] if len(entry) > 2 else {}
    arguments = details.get("arguments", {})
    return {
        "framework": framework,
        "encoding": entry[0].decode(),
        "owned_result": bool(details.get("retval", {}).get("already_cfretained")),
        "owned_arguments": sorted(n for n, each in arguments.items() if each.get("already_cfretained")),
    }


def constants(names: dict[str, Any]) -> dict[str, int | str]:
    found: dict[str, int | str] = {}
    for item in names["enums"].split("$"):
        name, _, value = item.partition("@")
        if value.lstrip("-").isdecimal():
            found[name] = int(value)
    return found | {name: value for name, value in names["misc"].items() if isinstance(value, str)}


def bound_constants() -> list[str]:
    """The vendor's constants that the bindings spell out."""
    names = {**vars(corefoundation), **vars(security)}
    return sorted(name for name, value in names.items() if name.startswith(("kCF", "kSec", "errSec")))


def main(directory: pathlib.Path) -> None:
    table: dict[str, Any] = {"source": [name for name, _ in WHEELS.values()], "functions": {}, "constants": {}}
    wanted = {signature.name for signature in (*corefoundation.SIGNATURES, *security.SIGNATURES)}
    for framework in WHEELS:
        names = metadata(directory, framework)
        for name in sorted(wanted.union(ONLY_IN_THE_DOUBLE) & set(names["functions"])):
            table["functions"][name] = function(names["functions"][name], framework)
        known = constants(names)
        table["constants"] |= {name: known[name] for name in bound_constants() if name in known}
    OUTPUT.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
