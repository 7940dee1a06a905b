import os
import subprocess
import sys

command = [sys.executable, "-m", "pip", "download", "--no-cache-dir", "--retries=0", "--dest=/nonexistent"]
command += [f"--index-url={sys.argv[1]}simple/", "nothing-of-this-name"]
# A machine may configure pip for everybody; this is about pip as it comes.
sys.exit(subprocess.call(command, env={**os.environ, "PIP_CONFIG_FILE": os.devnull}))
