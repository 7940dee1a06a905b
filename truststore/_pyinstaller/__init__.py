"""For PyInstaller, which does not run `.pth` files: a program frozen where truststore-auto is installed has the hook.

PyInstaller finds this through the entry point `pyinstaller40: hook-dirs`. `hook-ssl.py` puts our modules into every
program that uses `ssl`; the script that `rthooks.dat` names starts the hook before the program.
"""

from __future__ import annotations

import os


def hook_directories() -> list[str]:
    """The directory of the hooks for PyInstaller."""
    return [os.path.dirname(os.path.abspath(__file__))]
