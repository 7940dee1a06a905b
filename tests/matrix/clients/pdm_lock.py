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
[tool.pdm]
distribution = false
[[tool.pdm.source]]
name = "pypi"
url = "{url}simple/"
"""
with tempfile.TemporaryDirectory() as directory:
    pathlib.Path(directory, "pyproject.toml").write_text(PROJECT.format(url=sys.argv[1]))
    environment = {**os.environ, "HOME": directory, "PDM_CHECK_UPDATE": "0", "PDM_REQUEST_RETRIES": "0"}
    environment |= {"PDM_CACHE_DIR": directory, "PDM_USE_VENV": "0"}
    command = [sys.executable, "-m", "pdm", "lock", "-v"]
    sys.exit(subprocess.call(command, cwd=directory, env=environment))
