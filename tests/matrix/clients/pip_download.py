import subprocess
import sys

command = [sys.executable, "-m", "pip", "--isolated", "download", "--no-cache-dir", "--retries=0"]
sys.exit(
    subprocess.call([*command, "--dest=/nonexistent", f"--index-url={sys.argv[1]}simple/", "nothing-of-this-name"])
)
