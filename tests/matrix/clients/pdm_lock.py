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
[[tool.pdm.source]]
name = "pypi"
url = "{url}simple/"
verify_ssl = true
"""
with tempfile.TemporaryDirectory() as directory:
    pathlib.Path(directory, "pyproject.toml").write_text(PROJECT.format(url=sys.argv[1]))
    environment = {**os.environ, "HOME": directory, "PDM_CHECK_UPDATE": "0", "PDM_REQUEST_TIMEOUT": "10"}
    subprocess.call([sys.executable, "-m", "pdm", "use", "-f", sys.executable], cwd=directory, env=environment)
    sys.exit(subprocess.call([sys.executable, "-m", "pdm", "lock", "-v"], cwd=directory, env=environment))
