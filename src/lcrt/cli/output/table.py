"""Tables: left-aligned columns, four spaces apart, no borders."""

from collections.abc import Sequence

from lcrt.cli.output.width import text_width

_GAP = "    "


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay out a table whose header stands in upper case; ends with a line end."""
    return lines([[title.upper() for title in header], *rows])


def lines(rows: Sequence[Sequence[str]], indent: str = "") -> str:
    """Lay out rows of one length without a header; nothing for no rows."""
    widths = [max(map(text_width, column)) for column in zip(*rows, strict=True)]
    return "".join(indent + _line(row, widths) + "\n" for row in rows)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = (cell + " " * (width - text_width(cell)) for cell, width in zip(row, widths, strict=True))
    return _GAP.join(cells).rstrip()
