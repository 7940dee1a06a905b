"""An OpenSSL that is linked statically into `_ssl` and shows no symbol, as in the Pythons that uv brings; also 1.1.1.

Such interpreters cannot be had here, so the module is built from Debian's source of its own Python: nothing of ours may
depend on reaching OpenSSL past `_ssl`.
"""

from __future__ import annotations

import pathlib

import pytest
from harness.clients import PROGRAMS, Client, Record, run_in_situations
from harness.environments import Environment, download
from harness.images import Image, debian
from harness.pki import Authority
from harness.situations import SITUATIONS, Site

pytestmark = [pytest.mark.matrix, pytest.mark.full, pytest.mark.timeout(1500)]

# The header of bluetooth is the one thing that the build would need besides; _ssl does not use it.
_SOURCE = """
#define PY_SSIZE_T_CLEAN
#include "Python.h"
#undef HAVE_BLUETOOTH_BLUETOOTH_H
#undef HAVE_BLUETOOTH_H
#include "_ssl.c"
"""
_BUILD = r"""
set -e
cd /build
cp /etc/apt/sources.list release
sed 's/^deb /deb-src /' release > /etc/apt/sources.list.d/source.list
sed 's/bookworm/bullseye/' release > /etc/apt/sources.list.d/old.list
apt-get -qq update
apt-get -qq install -y --no-install-recommends dpkg-dev gcc libc6-dev libssl-dev/bookworm python3.11-dev > /dev/null
apt-get -qq source --download-only python3.11
apt-get -qq download libssl-dev/bullseye
tar -xzf python3.11_*.orig.tar.gz --strip-components=1 --wildcards '*/Modules/*'
dpkg -x libssl-dev_1.1.1*.deb old
system=/usr/lib/$(gcc -print-multiarch)
for version in 1.1.1:/build/old 3.0:; do
  root=${version#*:} to=/opt/openssl-${version%%:*}
  mkdir -p "$to"
  gcc -shared -fPIC -O1 -w -DPy_BUILD_CORE_MODULE -I"$root/usr/include" -I"$root/usr/include/$(gcc -print-multiarch)" \
    -IModules -I/usr/include/python3.11 -I/usr/include/python3.11/internal one.c \
    "$root$system/libssl.a" "$root$system/libcrypto.a" -Wl,--exclude-libs,ALL -lpthread -ldl \
    -o "$to/_ssl.cpython-311-$(gcc -print-multiarch).so"
done
"""
_WHAT = """
import ctypes, _ssl, ssl
visible = hasattr(ctypes.CDLL(_ssl.__file__), "SSL_new")
print(ssl.OPENSSL_VERSION, ssl.SSLContext.__module__, visible, sep="|")
"""


@pytest.fixture(scope="module")
def image(
    company: Authority, wheel: pathlib.Path, installer: Environment, tmp_path_factory: pytest.TempPathFactory
) -> Image:
    image = debian("bookworm", tmp_path_factory.mktemp("image"), PROGRAMS)
    image.trust(company.file)
    image.path("/build").mkdir()
    image.path("/build/one.c").write_text(_SOURCE)
    image.run("sh", "-c", _BUILD, timeout=900)
    libraries = tmp_path_factory.mktemp("libraries")
    download(installer, libraries, "--only-binary=:all:", "--python-version=3.11", "--platform=any", "requests")
    image.run("python3", "-m", "venv", "--without-pip", "/srv/env")
    image.unpack("/srv/env/lib/python3.11/site-packages", wheel, *libraries.iterdir())
    return image


@pytest.mark.parametrize("version", ["1.1.1", "3.0"])
def test_a_static_openssl(version: str, image: Image, everywhere: dict[str, Site], record: Record) -> None:
    variables = {"PYTHONPATH": f"/opt/openssl-{version}"}
    openssl, hooked, visible = image.run("/srv/env/bin/python", "-c", _WHAT, **variables).stdout.strip().split("|")
    assert openssl.startswith(f"OpenSSL {version}")
    assert (hooked, visible) == ("truststore._context", "False")
    found, expected = {}, {}
    for client in (Client("urllib_request"), Client("requests_get", "requests", "bundle"), Client("asyncio_streams")):
        command = ["/srv/env/bin/python"]
        outcomes = run_in_situations(image, command, client, everywhere, SITUATIONS, variables, image.programs)
        found[client.program] = {situation: outcome.verdict for situation, outcome in outcomes.items()}
        expected[client.program] = {situation: client.with_hook(situation) for situation in SITUATIONS}
    row = {"interpreter": "CPython 3.11", "openssl": f"{openssl}, static and hidden", "startup": "pth"}
    record("interpreters", **row, where="built from Debian's source", verdicts=found)
    assert found == expected
