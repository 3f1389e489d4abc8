import pytest

from lcrt.client.stream import Lines, sse_data

TEXT = b'{"a":"\xc3\xa9"}\n\n{"b":2}\r\n{"c":3}'


@pytest.mark.parametrize("size", range(1, len(TEXT) + 1))
def test_lines_are_the_same_however_the_bytes_are_cut(size: int) -> None:
    lines = Lines()
    found = [line for start in range(0, len(TEXT), size) for line in lines.feed(TEXT[start : start + size])]
    assert [*found, *lines.end()] == [b'{"a":"\xc3\xa9"}', b'{"b":2}', b'{"c":3}']
    assert list(lines.end()) == []


def test_only_data_lines_of_server_sent_events_carry_a_payload() -> None:
    assert sse_data(b'data: {"x":1}') == b'{"x":1}'
    assert sse_data(b"data:{}") == b"{}"
    assert sse_data(b": ping") is None
    assert sse_data(b"event: message") is None
