"""The ROOT store of a Wine prefix, to put a test's root in and take it out again."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import sys
from collections.abc import Iterator
from typing import Any

assert sys.platform == "win32"

X509_ASN_ENCODING = 1
CERT_STORE_ADD_REPLACE_EXISTING = 3


def is_wine() -> bool:
    """Whether this Windows is Wine, whose ntdll has a function to ask it."""
    ntdll: Any = ctypes.WinDLL("ntdll.dll")
    return hasattr(ntdll, "wine_get_version")


@contextlib.contextmanager
def trusted_by_user(der: bytes) -> Iterator[None]:
    """Has `der` in the user's ROOT store for the length of a `with` block."""
    crypt32: Any = ctypes.WinDLL("crypt32.dll", use_last_error=True)
    crypt32.CertOpenSystemStoreW.restype = ctypes.c_void_p
    crypt32.CertOpenSystemStoreW.argtypes = (ctypes.c_void_p, ctypes.c_wchar_p)
    crypt32.CertAddEncodedCertificateToStore.argtypes = (
        ctypes.c_void_p,
        ctypes.c_uint32,
        ctypes.c_char_p,
        ctypes.c_uint32,
        ctypes.c_uint32,
        ctypes.c_void_p,
    )
    crypt32.CertCloseStore.argtypes = (ctypes.c_void_p, ctypes.c_uint32)
    store = crypt32.CertOpenSystemStoreW(None, "ROOT")
    assert store, ctypes.WinError(ctypes.get_last_error())
    added = crypt32.CertAddEncodedCertificateToStore(
        store, X509_ASN_ENCODING, der, len(der), CERT_STORE_ADD_REPLACE_EXISTING, None
    )
    error = ctypes.get_last_error()
    assert crypt32.CertCloseStore(store, 0)
    assert added, ctypes.WinError(error)
    try:
        yield
    finally:
        _forget(der)


def _forget(der: bytes) -> None:
    """CertDeleteCertificateFromStore succeeds in Wine 8 and changes nothing; the registry's key is what counts."""
    import winreg

    thumbprint = hashlib.sha1(der).hexdigest().upper()
    key = rf"Software\Microsoft\SystemCertificates\ROOT\Certificates\{thumbprint}"
    winreg.DeleteKey(winreg.HKEY_CURRENT_USER, key)
