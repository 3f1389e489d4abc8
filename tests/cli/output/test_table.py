from lcrt.cli.output.table import lines, table


def test_columns_are_as_wide_as_their_widest_cell_and_four_apart() -> None:
    assert table(("a", "b"), [("long", "x"), ("s", "y")]) == "A       B\nlong    x\ns       y\n"


def test_wide_characters_take_two_columns_and_marks_none() -> None:
    assert lines([("漢字", "x"), ("abcd", "y"), ("e\u0301", "z")]) == "漢字    x\nabcd    y\ne\u0301       z\n"


def test_no_rows_are_nothing() -> None:
    assert lines([]) == ""
