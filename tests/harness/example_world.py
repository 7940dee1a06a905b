"""The small world in which the documentation's examples run, exactly as they are printed.

It is a mount and network namespace of its own: a loopback interface, a web server for the host names below, a copy of
this machine's trust store to which the administrator has added the company's CA, and the home directory `/home/you`
with a virtual environment `env` and the files that examples name. There is no way out of it to a network. Packages come
from wheels that were fetched before.

Each page gets a namespace inside that one, where everything that it may change lies under an overlay: pages do not see
each other's changes, and this machine sees none.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import ssl
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Sequence

from cryptography.hazmat.primitives import serialization

from harness import issuing
from harness.environment import missing
from harness.environments import bare_environment
from harness.issuing import Issued
from harness.private_system import STORE_DIRECTORIES

HOME = "/home/you"

# Hosts of the CA that is in the system's store; of a laboratory's, whose root lies in the home directory; of nobody's.
COMPANY_HOSTS = ("intranet.example.com", "www.example.org")
LABORATORY_HOSTS = ("lab.example.com",)
STRANGER_HOSTS = ("www.example.net",)

# What examples import or install.
PACKAGES = ("aiohttp", "certifi", "httpx", "pip", "requests", "truststore", "urllib3>=2")
INSTALLED = ("aiohttp", "certifi", "httpx", "requests", "truststore-auto", "urllib3>=2")

# What update-ca-certificates runs besides: Java's store, for one, of which this world has no copy.
UPDATE_HOOKS = "/etc/ca-certificates/update.d"

_SEPARATOR = "\x1e"

# Every pair of arguments is a directory and its copy.
_OUTER = """
set -e
hosts=$1; shift
mount --bind "$hosts" /etc/hosts
while [ $# -gt 0 ]; do mount --bind "$2" "$1"; shift 2; done
echo ready
exec cat > /dev/null
"""

# The first argument is an empty directory, the second a script; then come the directories to lay an overlay over.
_INNER = """
set -e
scratch=$1 script=$2; shift 2
mount -t tmpfs tmpfs "$scratch"
number=0
for directory; do
    number=$((number + 1))
    mkdir "$scratch/upper$number" "$scratch/work$number"
    mount -t overlay overlay -o "lowerdir=$directory,upperdir=$scratch/upper$number,workdir=$scratch/work$number" \\
        "$directory"
done
cd /home/you
exec bash "$script"
"""


class World:
    """See the module's text. `directory` is for its files; `wheels` holds `PACKAGES` and ours."""

    def __init__(self, holder: subprocess.Popen[str], directory: pathlib.Path, wheels: pathlib.Path) -> None:
        self._holder = holder
        self._directory = directory
        self._wheels = wheels
        self._pages = 0

    def run(self, commands: Sequence[str]) -> list[tuple[str, int]]:
        """Run `commands` in one shell, in a copy of the world; the output and the exit status of each."""
        self._pages += 1
        scratch = self._directory / f"page{self._pages}"
        scratch.mkdir()
        script = self._directory / f"page{self._pages}.sh"
        end = f"printf '{_SEPARATOR}%s{_SEPARATOR}' $?\n"
        script.write_text("exec 2>&1\n" + "".join(f"{command}\n{end}" for command in commands))
        changeable = ["/home", *STORE_DIRECTORIES, *_directories_of_python()]
        done = self._in_here(["unshare", "--mount", "sh", "-c", _INNER, "page", scratch, script, *changeable])
        # output, status, output, status, ..., and what came after the last
        parts = done.stdout.split(_SEPARATOR)
        assert len(parts) == 2 * len(commands) + 1, f"the shell ended early:\n{done.stdout}\n{done.stderr}"
        return [(parts[2 * number], int(parts[2 * number + 1])) for number in range(len(commands))]

    def _in_here(self, command: Sequence[str | os.PathLike[str]]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*_enter(self._holder.pid), *command],
            cwd="/",
            env=_environment(self._wheels),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )

    def prepare(self, company: Issued) -> None:
        """Put the company's CA into the store as an administrator does, and make the environment."""
        local = pathlib.Path(f"/proc/{self._holder.pid}/root/usr/local/share/ca-certificates")
        (local / "example-company.crt").write_text(company.pem)
        environment = [sys.executable, "-m", "venv", f"{HOME}/env"]
        for command in (
            ["update-ca-certificates"],
            environment,
            [f"{HOME}/env/bin/python", "-m", "pip", "install", "--quiet", *INSTALLED],
        ):
            done = self._in_here(command)
            assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


@contextlib.contextmanager
def example_world(directory: pathlib.Path, wheels: pathlib.Path) -> Iterator[World]:
    """A world in `directory`; see `World`."""
    _require()
    company = issuing.root("Example Company Root CA", organization="Example Company")
    laboratory = issuing.root("Laboratory CA", organization="Example Laboratory")
    stranger = issuing.root("Unknown Root CA", organization="Nobody You Know")
    certificates = directory / "hosts"
    certificates.mkdir()
    for root, hosts in ((company, COMPANY_HOSTS), (laboratory, LABORATORY_HOSTS), (stranger, STRANGER_HOSTS)):
        for host in hosts:
            (certificates / f"{host}.pem").write_text(key_and_chain(issuing.issue(root, host, host)))
    copies = {place: directory / place.replace("/", "_") for place in STORE_DIRECTORIES}
    for place, copy in copies.items():
        shutil.copytree(place, copy, symlinks=True)
    copies["/home"] = directory / "home"
    (copies["/home"] / "you").mkdir(parents=True)
    for name in ("lab-ca.pem", "our-ca.pem"):
        (copies["/home"] / "you" / name).write_text(laboratory.pem)
    hosts = directory / "etc-hosts"
    names = " ".join((*COMPANY_HOSTS, *LABORATORY_HOSTS, *STRANGER_HOSTS))
    hosts.write_text(f"127.0.0.1 localhost {names}\n")
    if os.path.isdir(UPDATE_HOOKS):
        copies[UPDATE_HOOKS] = directory / "no-hooks"
        copies[UPDATE_HOOKS].mkdir()
    arguments = [str(item) for pair in copies.items() for item in pair]
    with contextlib.ExitStack() as stack:
        unshare = ["unshare", "--mount", "--net", "--propagation", "private", "sh", "-c", _OUTER, "world"]
        holder = _start(stack, [*unshare, str(hosts), *arguments])
        server = pathlib.Path(__file__).with_name("named_server.py")
        _start(stack, [*_enter(holder.pid), sys.executable, str(server), str(certificates)])
        world = World(holder, directory, wheels)
        world.prepare(company)
        yield world


def key_and_chain(leaf: Issued) -> str:
    """What a server needs to show `leaf`, in PEM."""
    key = leaf.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return key.decode() + "".join(map(ssl.DER_cert_to_PEM_cert, leaf.chain))


def _enter(pid: int) -> list[str]:
    return ["nsenter", f"--mount=/proc/{pid}/ns/mnt", f"--net=/proc/{pid}/ns/net"]


def _start(stack: contextlib.ExitStack, command: Sequence[str]) -> subprocess.Popen[str]:
    """Start what says `ready`, and ends when its standard input closes."""
    process = stack.enter_context(
        subprocess.Popen(
            command, env=bare_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/"
        )
    )
    assert process.stdin is not None
    assert process.stdout is not None
    stack.callback(process.stdin.close)
    assert process.stdout.readline() == "ready\n", f"{command} did not start"
    return process


def _environment(wheels: pathlib.Path) -> dict[str, str]:
    """What a shell of `you` has, and a pip that finds its packages without a network."""
    system = f"{sys.base_prefix}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return bare_environment(
        HOME=HOME, PATH=f"{HOME}/env/bin:{system}", PIP_NO_INDEX="1", PIP_FIND_LINKS=str(wheels), LC_ALL="C.UTF-8",
        PIP_ROOT_USER_ACTION="ignore", PIP_BREAK_SYSTEM_PACKAGES="1",
    )  # fmt: skip


def _directories_of_python() -> list[str]:
    """Where the interpreter that environments are made from keeps its library, its packages and its programs; and where
    Debian's installs packages, and keeps its `sitecustomize.py`."""
    paths = {"/usr/local/lib", "/usr/local/bin", "/etc/python{}.{}".format(*sys.version_info)} | {
        os.path.realpath(sysconfig.get_path(name, vars={"base": sys.base_prefix, "installed_base": sys.base_prefix}))
        for name in ("stdlib", "purelib", "scripts")
    }
    outermost = [path for path in paths if not any(path.startswith(other + "/") for other in paths)]
    return sorted(path for path in outermost if os.path.isdir(path))


def _require() -> None:
    if sys.platform != "linux" or os.geteuid() != 0:
        missing("a mount namespace of its own needs root on Linux")
    if sys.prefix.startswith("/home"):
        missing("examples run with a home directory of their own, which would hide this Python")
    for program in ("bash", "unshare", "nsenter", "update-ca-certificates"):
        if shutil.which(program) is None:
            missing(f"{program} is not installed")
    if subprocess.run(["unshare", "--mount", "--net", "true"], capture_output=True, check=False).returncode:
        missing("namespaces are not allowed here")
