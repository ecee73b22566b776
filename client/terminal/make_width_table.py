#!/usr/bin/env python3
"""Writes width_table.cc, the code points that do not take one column of a terminal.

Usage: make_width_table.py > width_table.cc

Source: the Unicode Character Database as this Python knows it. Wide are the code points with
East_Asian_Width W or F; of no width are those of the categories Mn, Me and Cf, and the Hangul
vowels and final consonants that join the syllable before them. Unassigned code points between two
of the same width count with them, which shortens the table and takes in many later additions.
"""

import unicodedata

SOFT_HYPHEN = 0xAD  # a format character that terminals show
CODE_POINT_COUNT = 0x110000
LINE_WIDTH = 100


def is_zero_width(code_point):
    if 0x1160 <= code_point <= 0x11FF or 0xD7B0 <= code_point <= 0xD7FB:
        return True
    return unicodedata.category(chr(code_point)) in ("Mn", "Me", "Cf") and code_point != SOFT_HYPHEN


def is_wide(code_point):
    if is_zero_width(code_point):
        return False
    return unicodedata.east_asian_width(chr(code_point)) in ("W", "F")


def is_unassigned(code_point):
    return unicodedata.category(chr(code_point)) == "Cn"


def ranges(belongs):
    """Inclusive ranges of the code points that belong, joined over unassigned ones."""
    found = []
    joinable = False
    for code_point in range(CODE_POINT_COUNT):
        if belongs(code_point):
            if joinable:
                found[-1][1] = code_point
            else:
                found.append([code_point, code_point])
            joinable = True
        elif not is_unassigned(code_point):
            joinable = False
    return found


def script(code_point):
    """The first word of the character's name, which is its script or kind."""
    return unicodedata.name(chr(code_point), "UNNAMED").split()[0].split("-")[0].capitalize()


def print_array(name, found):
    print(f"constexpr CodePointRange {name}[] = {{")
    line, scripts = "   ", []
    for first, last in found:
        entry = f" {{0x{first:04X}, 0x{last:04X}}},"
        names = scripts if script(first) in scripts else scripts + [script(first)]
        if len(line + entry) + len("  // " + ", ".join(names)) > LINE_WIDTH:
            print(f"{line}  // {', '.join(scripts)}")
            line, names = "   ", [script(first)]
        line, scripts = line + entry, names
    print(f"{line}  // {', '.join(scripts)}")
    print("};")


def main():
    version = unicodedata.unidata_version
    print(f"// Made by make_width_table.py from Unicode {version}. Do not edit.\n")
    print('#include "client/terminal/width_table.h"\n')
    print("namespace attention::client {\nnamespace {\n\n// clang-format off")
    print_array("kZeroWidth", ranges(is_zero_width))
    print()
    print_array("kWide", ranges(is_wide))
    print("// clang-format on\n\n}  // namespace\n")
    print("std::span<const CodePointRange> ZeroWidthCodePoints() { return kZeroWidth; }")
    print("std::span<const CodePointRange> WideCodePoints() { return kWide; }")
    print("\n}  // namespace attention::client")


main()
