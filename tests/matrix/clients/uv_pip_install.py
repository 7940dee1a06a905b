import subprocess
import sys

command = [sys.executable, "-m", "uv", "pip", "install", "--no-config", "--no-cache", f"--python={sys.executable}"]
sys.exit(subprocess.call([*command, f"--index-url={sys.argv[1]}simple/", "nothing-of-this-name"]))
