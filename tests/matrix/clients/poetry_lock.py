import os
import pathlib
import subprocess
import sys
import tempfile

PROJECT = """
[project]
name = "project"
version = "1"
requires-python = ">=3.10"
dependencies = ["nothing-of-this-name"]
[tool.poetry]
package-mode = false
[[tool.poetry.source]]
name = "index"
url = "{url}simple/"
"""
with tempfile.TemporaryDirectory() as directory:
    pathlib.Path(directory, "pyproject.toml").write_text(PROJECT.format(url=sys.argv[1]))
    environment = {**os.environ, "POETRY_CACHE_DIR": directory, "POETRY_VIRTUALENVS_CREATE": "false", "HOME": directory}
    environment["POETRY_KEYRING_ENABLED"] = "false"
    command = [sys.executable, "-m", "poetry", "lock", "--no-interaction", "--no-cache", "-v"]
    sys.exit(subprocess.call(command, cwd=directory, env=environment))
