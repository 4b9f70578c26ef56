"""Small tables for the tests."""

from __future__ import annotations


def table(path, rows, header):
    path.write_text("\n".join(",".join(map(str, row)) for row in [header, *rows]) + "\n", encoding="utf-8")
    return path
