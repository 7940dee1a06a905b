"""A build backend (PEP 517) that only answers what pip asks before it saves a source distribution: name and version.

pip insists on the metadata of what it downloads, and the way to them is to run the distribution's setup.py. Found
before the real setuptools, this module reads them from PKG-INFO instead.
"""

from __future__ import annotations

import email.parser
import pathlib
from typing import Any


def get_requires_for_build_wheel(config_settings: Any = None) -> list[str]:
    return []


def prepare_metadata_for_build_wheel(metadata_directory: str, config_settings: Any = None) -> str:
    with open("PKG-INFO", encoding="utf-8") as file:
        described = email.parser.Parser().parse(file, headersonly=True)
    name, version = described["Name"], described["Version"]
    folder = pathlib.Path(metadata_directory, f"{name.replace('-', '_')}-{version}.dist-info")
    folder.mkdir()
    folder.joinpath("METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    folder.joinpath("WHEEL").write_text(
        "Wheel-Version: 1.0\nGenerator: inert\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    return folder.name


class __legacy__:  # the backend of a project that names none, which is this very one in pip's eyes
    get_requires_for_build_wheel = staticmethod(get_requires_for_build_wheel)
    prepare_metadata_for_build_wheel = staticmethod(prepare_metadata_for_build_wheel)
