"""Which file is a *vendored public bundle*: a copy of the public CAs that a package brings along, such as certifi's.

Programs load such a bundle because Python found no roots by itself, not because they distrust the system's. Loading it
would bring back every root that the administrator removed from the system store, and costs 15 to 30 ms per context on
OpenSSL 3.0. A file counts as one if it

(a) lies below a `site-packages` or `dist-packages` directory of `sys.path`, or in a frozen program's own folder,
(b) holds roots of at least three unrelated public CAs (a private bundle of any size does not, and stays a pin), and
(c) is as its distribution shipped it, by the hash in `RECORD`: where somebody appended the company's root, that was a
    decision, and the file is kept as extra anchors.

Programs also run from other places: a directory that `pip install --target` filled, a PEX, an archive. There (a) proves
nothing, so a RECORD in that entry of `sys.path` must vouch for the very bytes of the file: see `_is_vouched_for`.

Everything else is somebody's explicit choice.
"""

from __future__ import annotations

import os
import sys

from truststore import _pem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

SHIPPED = "vendored public bundle"
CHANGED = "vendored public bundle that somebody changed"
CHOSEN = "explicit choice"

# SHA-256 of long-lived public roots and the CA that runs each, from the Mozilla program's copies in certifi 2018 to
# 2026, botocore and stripe: every one of those holds roots of at least four of these CAs.
_PUBLIC_CA_BY_FINGERPRINT = {
    "cb3ccbb76031e5e0138f8dd39a23f9de47ffc35e43c1144cea27d46a5ab1cb5f": "DigiCert",  # Global Root G2
    "7d05ebb682339f8c9451ee094eebfefa7953a114edb2f44949452fab7d2fc185": "DigiCert",  # Assured ID Root G2
    "4348a0e9444c78cb265e058d5e8944b4d84f9662bd26db257f8934a443c70161": "DigiCert",  # Global Root CA
    "cbb522d7b7f127ad6a0113865bdf1cd4102e7d0759af635a7cf4720dc963c53b": "GlobalSign",  # Root R3
    "4fa3126d8d3a11d1c4855a4f807cbad6cf919d3a5a88b03bea2c6372d93c40c9": "GlobalSign",  # Root R46
    "96bcec06264976f37460779acf28c5a7cfe8a3c0aae11a8ffcee05c0bddf08c6": "ISRG",  # Root X1
    "e793c9b02fd8aa13e21c31228accb08119643b749c898964b1746d46c3d4cbd2": "Sectigo",  # USERTrust RSA
    "7bb647a62aeeac88bf257aa522d01ffea395e0ab45c73f93f65654ec38f25a06": "Sectigo",  # Public Server Auth R46
    "8ecde6884f3d87b1125ba31ac3fcb13d7016de7f57cc904fe1cb97c6ae98196e": "Amazon",  # Root CA 1
    "45140b3247eb9cc8c5b4f0d7b53091f73292089e6e5a63e2749dd3aca9198eda": "GoDaddy",  # Root G2
    "43df5774b03e7fef5fe40d931a7bedf1bb2e6b42738c4e6d3841103d3aa7f339": "Entrust",  # Root G2
    "d947432abde7b7fa90fc2e6b59101b1280e0e1c7e4e40fa3c6887fff57a7f4cf": "Google",  # GTS Root R1
    "5d56499be4d2e08bcfcad08a3e38723d50503bde706948e42f55603019e528ae": "IdenTrust",  # Commercial Root CA 1
    "5c58468d55f58e497e743982d2b50010b6d165374acf83a7d4a32db768c4408e": "Certum",  # Trusted Network CA
    "91e2f5788d5810eba7ba58737de1548a8ecacd014598bc0b143e041b17052552": "Telekom",  # GlobalRoot Class 2
    "62dd0be9b9f50a163ea0f8e75c053b1eca57ea55c8688f647c6881f2c8357b95": "SwissSign",  # Gold CA G2
}
_UNRELATED_CAS = 3
_LARGEST_BUNDLE = 4 * 1024 * 1024  # bytes; certifi's is 0.3 million

_judged: dict[str, tuple[int, int, str]] = {}


def judge(path: str) -> str:
    """`SHIPPED`, `CHANGED` or `CHOSEN`. Made once per path, size and modification time; unreadable means `CHOSEN`."""
    try:
        status = os.stat(path)
        known = _judged.get(path)
        if known is None or known[:2] != (status.st_size, status.st_mtime_ns):
            known = (status.st_size, status.st_mtime_ns, _judge_anew(path, status.st_size))
            _judged[path] = known
        return known[2]
    except (OSError, ValueError):  # ValueError: a path with a NUL
        return CHOSEN


def _judge_anew(path: str, size: int) -> str:
    place = _package_directory(os.path.realpath(path))
    records = [] if place is not None else _records_elsewhere(path)
    if size > _LARGEST_BUNDLE or (place is None and not records):
        return CHOSEN
    with open(path, "rb") as file:
        text = file.read()
    if not _holds_public_cas(text):
        return CHOSEN
    if place is None:
        return SHIPPED if _is_vouched_for(text, records) else CHOSEN
    return SHIPPED if _is_as_shipped(os.path.realpath(path), text, place) else CHANGED


def _package_directory(path: str) -> str | None:
    """The directory of installed packages that `path` lies in."""
    places = [entry for entry in _search_path() if os.path.basename(entry) in ("site-packages", "dist-packages")]
    if getattr(sys, "frozen", False):
        places.append(getattr(sys, "_MEIPASS", os.path.dirname(sys.executable)))
    if "__compiled__" in globals():  # by Nuitka, which does not set sys.frozen: our package lies beside the others
        places.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    for place in map(os.path.realpath, places):
        if os.path.normcase(path).startswith(os.path.normcase(place) + os.sep):
            return place
    return None


def _search_path() -> list[str]:
    """`sys.path` without what some programs put there and the import system skips."""
    return [entry for entry in sys.path if isinstance(entry, str)]


def _holds_public_cas(text: bytes) -> bool:
    import hashlib  # here, because most programs never load a bundle

    found = set()
    for der in _pem.certificates(text):
        found.add(_PUBLIC_CA_BY_FINGERPRINT.get(hashlib.sha256(der).hexdigest()))
        if len(found - {None}) >= _UNRELATED_CAS:
            return True
    return False


def _is_as_shipped(path: str, text: bytes, place: str) -> bool:
    """Whether `text` has the hash that a `RECORD` in `place` gives for `path`; True where no RECORD names it."""
    name = os.path.relpath(path, place).replace(os.sep, "/")
    for record in _records(place, name.partition("/")[0]):
        recorded = _recorded_hash(record, name)
        if recorded is not None:
            return _has_hash(text, recorded) is not False
    return True


def _recorded_hash(record: str, name: str) -> str | None:
    """The hash, maybe empty, that the file `record` gives for `name`; None where it does not name it."""
    with open(record, encoding="utf-8", errors="replace") as file:
        return _hash_in(file, name)


def _hash_in(lines: Iterable[str], name: str) -> str | None:
    found = (line[len(name) + 1 :].partition(",")[0] for line in lines if line.startswith(name + ","))
    return next(found, None)


def _records(place: str, package: str) -> list[str]:
    """The RECORD files in `place`; that of a distribution named like `package` first, since it is nearly always it."""
    folders = [name for name in os.listdir(place) if name.endswith(".dist-info")]
    folders.sort(key=lambda name: (not name.lower().startswith(package.lower() + "-"), name))
    records = [os.path.join(place, name, "RECORD") for name in folders]
    return [record for record in records if os.path.isfile(record)]


# ---- outside of site-packages ---------------------------------------------------------------------------------------


def _records_elsewhere(path: str) -> list[str]:
    """The hashes that distributions on `sys.path` record for the file `path`. Links count by their own place: uv, if
    asked to, and a PEX's virtual environment link site-packages to files that are kept elsewhere."""
    found = []
    for place in map(os.path.abspath, _search_path()):
        name = _name_below(os.path.abspath(path), place)
        if name is not None and os.path.isdir(place):
            found += [_recorded_hash(record, name) for record in _records(place, name.partition("/")[0])]
    found.append(_recorded_in_archive(path))
    return [recorded for recorded in found if recorded]


def _name_below(path: str, place: str) -> str | None:
    """`path` relative to the directory `place`, as a RECORD writes it; None if it does not lie in there."""
    prefix = place.rstrip(os.sep) + os.sep
    if not os.path.normcase(path).startswith(os.path.normcase(prefix)):
        return None
    return path[len(prefix) :].replace(os.sep, "/")


def _recorded_in_archive(path: str) -> str | None:
    """The hash that an archive (a zipapp) records for certifi's bundle, if `path` is where certifi unpacked it to."""
    certifi = sys.modules.get("certifi")
    archive = getattr(getattr(certifi, "__loader__", None), "archive", None)
    if certifi is None or archive is None:
        return None
    import zipfile

    try:
        if certifi.where() != path:
            return None
        name = f"{_name_below(os.path.dirname(str(certifi.__file__)), archive)}/cacert.pem"
        with zipfile.ZipFile(archive) as opened:
            records = [opened.read(member) for member in opened.namelist() if member.endswith(".dist-info/RECORD")]
    except Exception:  # an archive that was replaced meanwhile, say, vouches for nothing
        return None
    return next(
        filter(None, (_hash_in(record.decode(errors="replace").splitlines(), name) for record in records)), None
    )


def _is_vouched_for(text: bytes, records: Iterable[str]) -> bool:
    """Whether `text` has one of the recorded hashes. A hash that cannot be compared proves nothing here."""
    return any(_has_hash(text, recorded) is True for recorded in records)


def _has_hash(text: bytes, recorded: str) -> bool | None:
    """Whether `text` has the `recorded` hash, `sha256=<urlsafe base64 without padding>` (PEP 376, PEP 427).

    None where that says nothing: there is no hash, or not one of those that installers write.
    """
    import base64
    import hashlib

    algorithm, _, expected = recorded.partition("=")
    if not expected or algorithm not in ("sha256", "sha384", "sha512"):
        return None
    digest = hashlib.new(algorithm, text).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii") == expected
