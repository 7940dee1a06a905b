"""Run the tests of `tests/windows` under Windows Pythons, on Wine, with our wheel and its `.pth` installed in them.

    python tests/windows/wine/run.py --wheel dist/truststore_auto-0.1.0-py3-none-any.whl [3.10 3.11 3.12 3.13] [-- ...]

What follows `--` goes to pytest. Exits non-zero if any interpreter's run failed.
"""

from __future__ import annotations

import argparse
import pathlib
import sys
import time

import provision

TESTS = pathlib.Path(__file__).resolve().parents[2]


def run(wine: provision.Wine, version: str, wheel: pathlib.Path, pytest_arguments: list[str]) -> int:
    """One interpreter's run: its exit code."""
    provision.install_wheel(wheel, provision.site_packages(version))
    started = time.monotonic()
    print(f"--- Windows Python {provision.BUILDS[version].full_version} on Wine ---", flush=True)
    code = wine.run(
        str(provision.python_folder(version) / "python.exe"),
        *("-m", "pytest", "-p", "no:cacheprovider", "--rootdir", provision.windows_path(TESTS.parent)),
        *("-c", provision.windows_path(TESTS.parent / "pyproject.toml")),
        *(pytest_arguments or ["-q", provision.windows_path(TESTS / "windows")]),
        # Not the folder of the source tree, which `-m` would put before site-packages.
        cwd=TESTS,
        PYTHONDONTWRITEBYTECODE="1",
        PYTHONUTF8="1",
    )
    seconds = time.monotonic() - started
    print(f"--- Windows Python {version}: exit code {code}, {seconds:.1f} s wall time ---", flush=True)
    return code


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--wheel", required=True, type=pathlib.Path)
    parser.add_argument("versions", nargs="*", default=["3.11"], metavar="VERSION")
    given = sys.argv[1:]
    end = given.index("--") if "--" in given else len(given)
    arguments, for_pytest = parser.parse_args(given[:end]), given[end + 1 :]
    unknown = set(arguments.versions) - set(provision.BUILDS)
    if unknown:
        parser.error(f"no build of {', '.join(sorted(unknown))}")
    started = time.monotonic()
    with provision.provision(arguments.versions) as wine:
        codes = [run(wine, version, arguments.wheel, for_pytest) for version in arguments.versions]
    print(f"Wine tier: {len(codes)} interpreters, {time.monotonic() - started:.1f} s wall time", flush=True)
    sys.exit(max(codes, key=bool))


if __name__ == "__main__":
    main()
