"""The bindings against golden values from mingw-w64's headers: on any OS, since all types have fixed widths."""

from __future__ import annotations

import ctypes
import pathlib

import pytest

from truststore._ffi import crypt32

GOLDEN = pathlib.Path(__file__).parent / "layout" / "golden.txt"
LINES = [line.split() for line in GOLDEN.read_text().splitlines() if not line.startswith("#")]

SIZES = {words[1]: int(words[2]) for words in LINES if words[0] == "structure"}
MEMBERS: dict[str, list[tuple[str, int, int]]] = {name: [] for name in SIZES}
for words in LINES:
    if words[0] == "member":
        MEMBERS[words[1]].append((words[2], int(words[3]), int(words[4])))
CONSTANTS = {words[1]: int(words[2]) for words in LINES if words[0] == "constant"}
TEXTS = {words[1]: words[2].encode() for words in LINES if words[0] == "text"}

# The one member that we leave out on purpose: Wine refuses the longer structure, every Windows takes the shorter one.
LEFT_OUT = {("CERT_CHAIN_ENGINE_CONFIG", "dwExclusiveFlags")}


def bound_structures() -> dict[str, type[ctypes.Structure]]:
    return {
        name: value
        for name, value in vars(crypt32).items()
        if isinstance(value, type) and issubclass(value, ctypes.Structure) and value is not ctypes.Structure
    }


def test_the_golden_values_cover_every_structure_and_constant_of_the_bindings() -> None:
    constants = {
        name
        for name, value in vars(crypt32).items()
        if isinstance(value, int) and name.isupper() and name != "TYPE_CHECKING"
    }
    assert set(SIZES) == set(bound_structures())
    assert set(CONSTANTS) == constants
    assert set(TEXTS) == {name for name in vars(crypt32) if name.startswith("szOID_")}
    assert len(LINES) > 130


@pytest.mark.skipif(ctypes.sizeof(ctypes.c_void_p) != 8, reason="golden values are for 64-bit Windows")
@pytest.mark.parametrize("name", sorted(SIZES))
def test_a_structure_has_the_members_of_the_header_where_the_header_has_them(name: str) -> None:
    structure = bound_structures()[name]
    expected = [member for member in MEMBERS[name] if (name, member[0]) not in LEFT_OUT]
    actual = []
    for member, *_ in structure._fields_:
        place = getattr(structure, member)
        actual.append((member, place.offset, place.size))
    assert actual == expected


@pytest.mark.skipif(ctypes.sizeof(ctypes.c_void_p) != 8, reason="golden values are for 64-bit Windows")
@pytest.mark.parametrize("name", sorted(set(SIZES) - {structure for structure, _ in LEFT_OUT}))
def test_a_structure_has_the_size_of_the_header(name: str) -> None:
    assert ctypes.sizeof(bound_structures()[name]) == SIZES[name]


@pytest.mark.skipif(ctypes.sizeof(ctypes.c_void_p) != 8, reason="golden values are for 64-bit Windows")
def test_the_engine_configuration_is_the_one_of_windows_7() -> None:
    offsets = {member: offset for member, offset, _ in MEMBERS["CERT_CHAIN_ENGINE_CONFIG"]}
    assert ctypes.sizeof(crypt32.CERT_CHAIN_ENGINE_CONFIG) == offsets["dwExclusiveFlags"] == 80


@pytest.mark.parametrize("name", sorted(CONSTANTS))
def test_a_constant_has_the_value_of_the_header(name: str) -> None:
    assert getattr(crypt32, name) == CONSTANTS[name]


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_an_object_identifier_is_that_of_the_header(name: str) -> None:
    assert getattr(crypt32, name) == TEXTS[name]


def test_wide_strings_are_utf16_and_end_in_a_zero() -> None:
    assert bytes(crypt32.wide_string("aé\U0001f600")) == "aé\U0001f600\0".encode("utf-16-le")
