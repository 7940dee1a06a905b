"""`env`: the variables by which tools that do not use Python's `ssl` are pointed at the system's roots.

SSL_CERT_FILE is not among them: it would take the decision from the operating system in every Python, and the tools
below have variables of their own.
"""

from __future__ import annotations

import os
import sys

from truststore import _verify
from truststore._backends import openssl
from truststore._cli import UNKNOWN, YES
from truststore._commands import export, terminal
from truststore._environment import settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

HAS_JSON = False
EXAMPLES = """\
  eval "$(python -m truststore env)"
  python -m truststore env --shell fish | source
  python -m truststore env --shell powershell | Out-String | Invoke-Expression
  python -m truststore env --shell cmd > roots.cmd && call roots.cmd
  python -m truststore env > /etc/profile.d/truststore.sh
"""

BUNDLE = object()  # stands for the path of the bundle

# (variable, its value, for whom, also where the operating system verifies). The sources are the tools' own manuals.
# On macOS and Windows two are left out: curl asks the system there by itself (Secure Transport, Schannel), and requests
# would take CURL_CA_BUNDLE for a pin.
_VARIABLES: tuple[tuple[str, object, str, bool], ...] = (
    ("CURL_CA_BUNDLE", BUNDLE, "curl", False),
    ("GIT_SSL_CAINFO", BUNDLE, "git", True),
    ("NODE_EXTRA_CA_CERTS", BUNDLE, "node", True),
    ("NODE_USE_SYSTEM_CA", "1", "node 22.19, 24.6 and later", True),
    ("DENO_TLS_CA_STORE", "system", "deno", True),
    ("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", BUNDLE, "grpc", True),
    ("AWS_CA_BUNDLE", BUNDLE, "AWS CLI", True),
    ("CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE", BUNDLE, "Google Cloud CLI", True),
    ("CARGO_HTTP_CAINFO", BUNDLE, "cargo", True),
    ("UV_SYSTEM_CERTS", "true", "uv", True),
    ("UV_NATIVE_TLS", "true", "uv before 0.11", True),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--shell", choices=tuple(_SHELLS), default="sh", help="whose syntax; plain is NAME=value")
    parser.add_argument(
        "-o", "--output", metavar="PATH", help="export the roots to PATH and name that, instead of the system's bundle"
    )


def run(arguments: argparse.Namespace) -> int:
    try:
        bundle = _bundle(arguments.output)
        text = script(arguments.shell, bundle)
    except (OSError, ImportError, ValueError) as error:
        terminal.diagnose(str(error))
        return UNKNOWN
    terminal.write(sys.stdout, text)
    return YES


def _bundle(output: str | None) -> str:
    """The path of a bundle with all that the system trusts: the system's own if it has one, else one that we write."""
    if output is None:
        own = None if _verify.system_verifier() is not None else openssl.system_store().bundle
        if own is not None and not settings.extra_ca_certs:
            return own
        output = _default_output()
        os.makedirs(os.path.dirname(output), exist_ok=True)
    found = export.trusted_roots()
    export.write(found, "pem", output)
    terminal.diagnose(f"{found} of {found.name} written to {output}; run this again when the store changes")
    return os.path.abspath(output)


def _default_output() -> str:
    """A file in the user's cache. Raises `OSError` where there is no home."""
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA") or os.path.expanduser("~/.cache")
    if not os.path.isabs(base):
        raise OSError("there is no home directory to write a bundle to: name a file with -o")
    return os.path.join(base, "truststore", "roots.pem")


def variables(bundle: str) -> list[tuple[str, str, str]]:
    """(name, value, for whom), in the order in which they are printed."""
    delegated = _verify.system_verifier() is not None
    return [
        (name, bundle if value is BUNDLE else str(value), tool)
        for name, value, tool, everywhere in _VARIABLES
        if everywhere or not delegated
    ]


def script(shell: str, bundle: str) -> str:
    """The lines that set the variables in `shell`. Raises `ValueError` for a path that the shell cannot be given."""
    assign = _SHELLS[shell]
    return "".join(f"{assign(name, value, tool)}\n" for name, value, tool in variables(bundle))


# ---- shells ---------------------------------------------------------------------------------------------------------


def _sh(name: str, value: str, tool: str) -> str:
    """POSIX: nothing is special between single quotes but the quote itself."""
    quoted = value.replace("'", "'\\''")
    return f"export {name}='{quoted}'  # {tool}"


def _fish(name: str, value: str, tool: str) -> str:
    r"""fish: between single quotes, \\ and \' are escapes."""
    quoted = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"set -gx {name} '{quoted}'  # {tool}"


def _powershell(name: str, value: str, tool: str) -> str:
    """PowerShell: quotes are doubled, and it takes typographic single quotes for quotes, too."""
    quoted = "".join(letter * 2 if letter in "'\u2018\u2019\u201a\u201b" else letter for letter in value)
    return f"$env:{name} = '{quoted}'  # {tool}"


def _cmd(name: str, value: str, tool: str) -> str:
    """cmd.exe, in a batch file: % is doubled, the quotes around all of it keep & and spaces."""
    if any(letter in value for letter in '"\r\n'):
        raise ValueError(f"cmd.exe cannot be given this path: {value!r}")
    return f'rem {tool}\r\nset "{name}={value.replace("%", "%%")}"\r'


def _plain(name: str, value: str, tool: str) -> str:
    """`NAME=value`, for Docker's --env-file, systemd's EnvironmentFile and CI systems."""
    if "\n" in value or "\r" in value:
        raise ValueError(f"a path with a line break cannot be written as NAME=value: {value!r}")
    return f"{name}={value}"


_SHELLS: dict[str, Callable[[str, str, str], str]] = {
    "sh": _sh,
    "fish": _fish,
    "powershell": _powershell,
    "cmd": _cmd,
    "plain": _plain,
}
