"""Puts the startup file into the wheel: a `.pth` line, or the `.start` entry point of PEP 829.

Python 3.15 reads `NAME.start`, and from 3.18 on it no longer runs import lines in `.pth` files. A `.start` costs
every interpreter start about 7 ms on 3.15 (site imports pkgutil and re for it), the `.pth` line 0.2 ms. The ordinary
wheel therefore carries the `.pth`; a wheel tagged for Python 3.18, which installers prefer there, carries the `.start`.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SWITCH = "TRUSTSTORE_AUTO_STARTUP_FILE"
STARTUP_FILES = {"pth": "truststore_autoinject.pth", "start": "truststore_autoinject.start"}


def startup_kind() -> str:
    """`pth` or `start`: what the switch says, or what the building Python runs at startup.

    An editable or local install is made by the interpreter that will run it, so its version decides by default.
    """
    default = "start" if sys.version_info >= (3, 18) else "pth"
    kind = os.environ.get(SWITCH) or default
    if kind not in STARTUP_FILES:
        raise ValueError(f"{SWITCH}={kind!r}: expected one of {', '.join(STARTUP_FILES)}")
    return kind


class StartupFileHook(BuildHookInterface[Any]):
    """Adds the one startup file to normal and to editable wheels."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        kind = startup_kind()
        name = STARTUP_FILES[kind]
        source = os.path.join(self.root, name)
        build_data["force_include"][source] = name
        build_data["force_include_editable"] = {source: name}
        if kind == "start":
            build_data["tag"] = "py318-none-any"
