"""Against tools that not every machine has: `.ci/tiers/command-line` installs them and runs this file by name.

`openssl rehash` names the files of a directory, fish and a POSIX shell read what `env` writes for them, curl and git
use the variables.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from harness.command_line import Command
from harness.environment import clean_environment, missing
from harness.issuing import Issued, issue, root, server_context
from harness.servers import https_server

from truststore._commands import environment, export, roots


def tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        missing(f"{name} is not installed")
    return found


def test_openssl_rehash_gives_the_same_names(tmp_path: Path) -> None:
    """For every root of this system, among them names in all string types, and for names that differ in case only."""
    known = [*roots.of_system().certificates]
    made = [
        root(name, organization="Example")
        for name in ("Same", "same", "  S\u00e4me  Name ", "S\u00c4ME name", "\u4e2d")
    ]
    known = roots.Roots("", [*(one.der for one in known), *(one.der for one in made)]).certificates
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    export.replace_directory(str(ours), export.hashed_files(export.in_order(known)))
    theirs.mkdir()
    for number, one in enumerate(export.in_order(known)):
        (theirs / f"{number:04}.pem").write_text(export.pem(one.der))
    subprocess.run([tool("openssl"), "rehash", str(theirs)], check=True, timeout=60)
    names = {path.name for path in theirs.iterdir() if path.is_symlink()}
    assert {path.name for path in ours.iterdir() if not path.name.startswith(".")} == names
    assert len(names) == len(known)


@pytest.mark.parametrize("path", ["/etc/ssl/a b.pem", '/it\'s \\ $HOME "q" `x` (y) \u2019;&|<>*?~#'])
def test_fish_reads_back_what_was_written(path: str) -> None:
    program = environment.script("fish", path) + "printf '%s\\n' $GIT_SSL_CAINFO"
    result = subprocess.run(
        [tool("fish"), "--no-config", "-c", program],
        env=clean_environment(LC_ALL="C.UTF-8"),
        capture_output=True,
        encoding="utf-8",
        check=True,
        timeout=60,
    )
    assert result.stdout == f"{path}\n"


@pytest.mark.parametrize("client", ["curl", "git"])
def test_the_variables_lead_tools_to_the_companys_root(
    client: str, native: None, command: Command, company_ca: Issued, tmp_path: Path
) -> None:
    leaf = issue(company_ca, "localhost", "localhost")
    with https_server(server_context(leaf, tmp_path)) as url:
        asks = {"curl": ["curl", "-sS", url], "git": ["git", "ls-remote", f"{url}repository"]}[client]
        trusting = f"{command('env').out}\n{' '.join([tool(client), *asks[1:]])}"
        plain = " ".join([tool(client), *asks[1:]])
        home = {"HOME": str(tmp_path), "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
        without, with_variables = (
            subprocess.run(
                ["sh", "-c", program],
                env=clean_environment(**home),
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
            )
            for program in (plain, trusting)
        )
    assert without.returncode != 0
    assert "certificate" in without.stderr
    assert "certificate" not in with_variables.stderr
    if client == "curl":
        assert (with_variables.returncode, with_variables.stdout) == (0, "hello")


def test_a_shell_is_equipped_by_the_line_in_the_help(native: None, command: Command) -> None:
    """`eval "$(python -m truststore env)"`, comments and all."""
    program = 'eval "$SCRIPT"; env'
    result = subprocess.run(
        [tool("sh"), "-c", program],
        env=clean_environment(SCRIPT=command("env").out),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    seen = dict(line.split("=", 1) for line in result.stdout.splitlines() if "=" in line)
    assert seen["GIT_SSL_CAINFO"].endswith("system.pem")
    assert os.path.exists(seen["GIT_SSL_CAINFO"])
