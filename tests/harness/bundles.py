"""Vendored bundles of public CAs, as if their distributions had shipped one root more."""

from __future__ import annotations

import base64
import hashlib
import pathlib

VENDORED = (
    "botocore/cacert.pem",
    "certifi/cacert.pem",
    "httplib2/cacerts.txt",
    "pip/_vendor/certifi/cacert.pem",
    "stripe/data/ca-certificates.crt",
)


def with_root(directory: pathlib.Path, site_packages: pathlib.Path, root: str) -> dict[pathlib.Path, pathlib.Path]:
    """Files for `PrivateSystem.overlay`, by their places: the bundles in `site_packages` with `root` (PEM) in them.

    `RECORD`s that match are among these: what a `RECORD` vouches for is what the distribution shipped; a bundle that
    somebody changed is another matter.
    """
    overlays: dict[pathlib.Path, pathlib.Path] = {}
    for number, name in enumerate(VENDORED):
        bundle = site_packages / name
        if not bundle.exists():
            continue
        place = directory / f"{site_packages.parts[-4]}-{number}"
        place.mkdir(parents=True)
        content = bundle.read_bytes() + root.encode()
        (place / "bundle").write_bytes(content)
        overlays[bundle] = place / "bundle"
        for record in site_packages.glob(f"{name.partition('/')[0]}-*.dist-info/RECORD"):
            (place / "RECORD").write_text(_vouching_for(record.read_text(), name, content))
            overlays[record] = place / "RECORD"
    return overlays


def _vouching_for(record: str, name: str, content: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    line = f"{name},sha256={digest},{len(content)}"
    return "\n".join(line if each.startswith(f"{name},") else each for each in record.splitlines()) + "\n"
