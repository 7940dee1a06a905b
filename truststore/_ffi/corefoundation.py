"""CoreFoundation: the objects that the Security framework takes and gives.

How it is bound: one table row per function, taken from the framework's headers; `Framework` turns rows into ctypes
functions. Every reference is `c_void_p`, so that ctypes hands it over as an int, or None for NULL, at full width.

Who owns what, the "Create Rule" of the Memory Management Programming Guide for Core Foundation: a function with
`Create` or `Copy` in its name gives a reference that the caller must release (`OWNED`); one with `Get` lends it
(`BORROWED`). Many of these functions kill the process when they are given NULL, so no NULL may travel: `References.own`
turns it into an exception at the place where it appears.

Nothing is loaded at import. A process that forks before its first verification starts the child clean.
"""

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_bool, c_char, c_double, c_int32, c_long, c_uint32, c_void_p

from truststore._errors import machinery_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

PATH = "/System/Library/Frameworks/CoreFoundation.framework/CoreFoundation"

# Values of ownership.
NOTHING = "no reference"
BORROWED = "borrowed"
OWNED = "owned"


class Signature:
    """One row of a signature table.

    `ownership` says whose the reference is that the function gives, by its result or, where the result is an
    OSStatus or a bool, by its last argument. `optional` functions may be missing on an older system.
    """

    __slots__ = ("arguments", "name", "optional", "ownership", "result")

    def __init__(
        self, name: str, arguments: tuple[Any, ...], result: Any, ownership: str, optional: bool = False
    ) -> None:
        self.name = name
        self.arguments = arguments
        self.result = result
        self.ownership = ownership
        self.optional = optional


# CFIndex is long, CFTypeID and CFOptionFlags unsigned long, CFStringEncoding uint32_t, Boolean unsigned char.
SIGNATURES = (
    Signature("CFRelease", (c_void_p,), None, NOTHING),
    Signature("CFEqual", (c_void_p, c_void_p), c_bool, NOTHING),
    Signature("CFArrayCreate", (c_void_p, POINTER(c_void_p), c_long, c_void_p), c_void_p, OWNED),
    Signature("CFArrayGetCount", (c_void_p,), c_long, NOTHING),
    Signature("CFArrayGetValueAtIndex", (c_void_p, c_long), c_void_p, BORROWED),
    Signature("CFDataCreate", (c_void_p, c_void_p, c_long), c_void_p, OWNED),
    Signature("CFDataGetBytePtr", (c_void_p,), c_void_p, BORROWED),
    Signature("CFDataGetLength", (c_void_p,), c_long, NOTHING),
    Signature("CFDateCreate", (c_void_p, c_double), c_void_p, OWNED),
    Signature("CFDictionaryGetValue", (c_void_p, c_void_p), c_void_p, BORROWED),
    Signature("CFErrorCopyDescription", (c_void_p,), c_void_p, OWNED),
    Signature("CFErrorGetCode", (c_void_p,), c_long, NOTHING),
    Signature("CFErrorGetDomain", (c_void_p,), c_void_p, BORROWED),
    Signature("CFNumberGetValue", (c_void_p, c_long, c_void_p), c_bool, NOTHING),
    Signature("CFStringCreateWithBytes", (c_void_p, c_void_p, c_long, c_uint32, c_bool), c_void_p, OWNED),
    Signature("CFStringGetCString", (c_void_p, c_void_p, c_long, c_uint32), c_bool, NOTHING),
    Signature("CFStringGetLength", (c_void_p,), c_long, NOTHING),
    Signature("CFStringGetMaximumSizeForEncoding", (c_long, c_uint32), c_long, NOTHING),
)

kCFStringEncodingUTF8 = 0x08000100
kCFNumberSInt32Type = 3
# CFAbsoluteTime counts seconds from 2001-01-01 00:00:00 UTC; this is that moment in Unix time.
kCFAbsoluteTimeIntervalSince1970 = 978307200.0


def _load(path: str) -> ctypes.CDLL:
    """Load a framework. The only place that does; the tests put the double here."""
    return ctypes.CDLL(path)


class Framework:
    """A loaded framework: each row of its table is an attribute, a missing optional function is None."""

    def __init__(self, path: str, signatures: Iterable[Signature]) -> None:
        library = _load(path)
        for signature in signatures:
            function = getattr(library, signature.name, None)
            if function is None and not signature.optional:
                raise ImportError(f"{path} has no {signature.name}: macOS 10.8 or later is needed")
            if function is not None:
                function.argtypes = signature.arguments
                function.restype = signature.result
            setattr(self, signature.name, function)
        self.library = library

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    def address_of(self, symbol: str) -> int:
        """Where the exported structure `symbol` lies."""
        return ctypes.addressof(c_char.in_dll(self.library, symbol))

    def constant(self, symbol: str) -> int:
        """The reference that the exported variable `symbol` holds; borrowed, never NULL."""
        reference = c_void_p.in_dll(self.library, symbol).value
        if not reference:
            raise machinery_error(symbol, "is NULL")
        return reference


_core_foundation: Framework | None = None


def core_foundation() -> Framework:
    """The framework, loaded at the first call in this process."""
    global _core_foundation
    if _core_foundation is None:
        _core_foundation = Framework(PATH, SIGNATURES)
    return _core_foundation


class References:
    """Owns references while a `with` block runs, and releases them when it ends, the newest first."""

    __slots__ = ("_owned",)

    _owned: list[int]

    def __init__(self) -> None:
        self._owned = []

    def __enter__(self) -> References:
        return self

    def __exit__(self, *exception: object) -> None:
        while self._owned:
            core_foundation().CFRelease(self._owned.pop())

    def own(self, reference: int | None, call: str) -> int:
        """Take over the reference that `call` gave. Raises `ssl.SSLError` if that is NULL."""
        if not reference:
            raise machinery_error(call, "it returned NULL")
        self._owned.append(reference)
        return reference

    def data(self, content: bytes) -> int:
        """A CFData that holds a copy of `content`."""
        return self.own(core_foundation().CFDataCreate(None, content, len(content)), "CFDataCreate")

    def string(self, text: str) -> int:
        """A CFString. Raises `UnicodeEncodeError` for lone surrogates."""
        content = text.encode("utf-8")
        return self.own(
            core_foundation().CFStringCreateWithBytes(None, content, len(content), kCFStringEncodingUTF8, False),
            "CFStringCreateWithBytes",
        )

    def array(self, items: Sequence[int]) -> int:
        """A CFArray, which retains its `items`."""
        framework = core_foundation()
        values = (c_void_p * len(items))(*items)
        callbacks = framework.address_of("kCFTypeArrayCallBacks")
        return self.own(framework.CFArrayCreate(None, values, len(items), callbacks), "CFArrayCreate")

    def date(self, seconds: float) -> int:
        """A CFDate for `seconds` of Unix time."""
        moment = seconds - kCFAbsoluteTimeIntervalSince1970
        return self.own(core_foundation().CFDateCreate(None, moment), "CFDateCreate")


def text_of(string: int | None) -> str:
    """The text of a CFString of any length and script; empty for NULL and for what has no UTF-8 form."""
    if not string:
        return ""
    framework = core_foundation()
    units = framework.CFStringGetLength(string)
    size = framework.CFStringGetMaximumSizeForEncoding(units, kCFStringEncodingUTF8)
    if size <= 0:
        return ""
    buffer = ctypes.create_string_buffer(size + 1)
    if not framework.CFStringGetCString(string, buffer, size + 1, kCFStringEncodingUTF8):
        return ""
    return buffer.value.decode("utf-8", "replace")


def bytes_of(data: int) -> bytes:
    """A copy of what a CFData holds."""
    framework = core_foundation()
    start = framework.CFDataGetBytePtr(data)
    return ctypes.string_at(start, framework.CFDataGetLength(data)) if start else b""


def items_of(array: int) -> list[int]:
    """What a CFArray holds; borrowed from the array. Raises `ssl.SSLError` if an item is NULL."""
    framework = core_foundation()
    items: list[int] = []
    for index in range(framework.CFArrayGetCount(array)):
        item = framework.CFArrayGetValueAtIndex(array, index)
        if not item:
            raise machinery_error("CFArrayGetValueAtIndex", "it returned NULL")
        items.append(item)
    return items


def number_of(number: int) -> int | None:
    """The value of a CFNumber that fits 32 bits, else None."""
    value = c_int32()
    if not core_foundation().CFNumberGetValue(number, kCFNumberSInt32Type, ctypes.byref(value)):
        return None
    return value.value
