"""Virtual environments in which this source tree is installed, as an installer would leave it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import truststore
from harness.environment import clean_environment

_TREE = Path(truststore.__file__).resolve().parent.parent


class Installation:
    """An environment with its own Python. `packages` is its site-packages directory."""

    def __init__(self, directory: Path) -> None:
        venv.EnvBuilder(with_pip=False, symlinks=sys.platform != "win32").create(directory)
        names = {"base": str(directory), "platbase": str(directory)}
        self.python = Path(sysconfig.get_path("scripts", vars=names)) / Path(sys.executable).name
        self.packages = Path(sysconfig.get_path("purelib", vars=names))
        shutil.copytree(_TREE / "truststore", self.packages / "truststore", ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("truststore_autoinject.py", "truststore_autoinject.pth"):
            shutil.copy(_TREE / name, self.packages)
        self.add_distribution("truststore-auto", truststore.__version__)

    def add_distribution(self, name: str, version: str) -> None:
        """What `importlib.metadata` needs to know that `name` is installed."""
        metadata = self.packages / f"{name.replace('-', '_')}-{version}.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run its Python with a clean environment plus `environment`."""
        return subprocess.run(
            [str(self.python), *arguments],
            env=clean_environment(**environment),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def truststore(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """`python -m truststore` with `arguments`."""
        return self.run("-m", "truststore", *arguments, **environment)
