#!/usr/bin/env python3
"""Write graph/base/unicode_table.c from Python's own Unicode data: which characters are letters, which are numbers, and
what their lower case is.

    python3 tools/reference/unicode_table.py
"""
import os
import sys
import unicodedata

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "graph", "base", "unicode_table.c")


def ranges(wanted):
    out = []
    for c in range(0x80, 0x110000):
        if not wanted(c):
            continue
        if out and out[-1][1] == c - 1:
            out[-1][1] = c
        else:
            out.append([c, c])
    return out


def lower_runs():
    """(first, last, step, to): first, first + step … last go to c + to. One character each way; others stay."""
    out = []
    for c in range(0x80, 0x110000):
        low = chr(c).lower()
        if len(low) != 1 or ord(low) == c:
            continue
        to = ord(low) - c
        if out and out[-1][3] == to and c - out[-1][1] in (1, 2) and out[-1][2] in (0, c - out[-1][1]):
            out[-1][1], out[-1][2] = c, c - out[-1][1]
        else:
            out.append([c, c, 0, to])
    return [(a, b, s or 1, to) for a, b, s, to in out]


def rows(items, per_line):
    lines = [items[i:i + per_line] for i in range(0, len(items), per_line)]
    return ",\n".join("    " + ", ".join(line) for line in lines)


def table(name, found):
    body = rows([f"{{0x{a:x}, 0x{b:x}}}" for a, b in found], 6)
    return f"const sy_unicode_range {name}[] = {{\n{body}}};\nconst int {name}_count = sizeof {name} / sizeof *{name};\n"


def main():
    letters = ranges(lambda c: unicodedata.category(chr(c)).startswith("L"))
    numbers = ranges(lambda c: unicodedata.category(chr(c)).startswith("N"))
    runs = rows([f"{{0x{a:x}, 0x{b:x}, {s}, {to}}}" for a, b, s, to in lower_runs()], 4)
    text = f"""/* Letters, numbers and lower case outside of ASCII, Unicode {unicodedata.unidata_version}. Written by
 * tools/reference/unicode_table.py; do not edit. */
#include "graph/base/unicode.h"

/* clang-format off */
{table("sy_unicode_letters", letters)}
{table("sy_unicode_numbers", numbers)}
const sy_unicode_run sy_unicode_lower_runs[] = {{
{runs}}};
const int sy_unicode_lower_runs_count = sizeof sy_unicode_lower_runs / sizeof *sy_unicode_lower_runs;
"""
    with open(OUT, "w") as file:
        file.write(text)
    print(len(letters), len(numbers), len(lower_runs()), file=sys.stderr)


if __name__ == "__main__":
    main()
