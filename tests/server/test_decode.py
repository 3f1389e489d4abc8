import msgspec
import pytest

from lcrt.errors import InvalidRequest
from lcrt.server.decode import Decoder


class _Inner(msgspec.Struct, forbid_unknown_fields=True):
    text: str | None = None
    data: bytes | None = None
    raw: msgspec.Raw = msgspec.Raw()


class _Outer(msgspec.Struct, forbid_unknown_fields=True):
    name: str | None = None
    hidden: bool | None = msgspec.field(default=None, name="_hidden")
    inner: tuple[_Inner, ...] | None = None
    options: dict[str, object] | None = None


DECODER = Decoder(_Outer)


def test_exact_names_are_read() -> None:
    assert DECODER.decode(b'{"name":"x","_hidden":true}') == _Outer(name="x", hidden=True)


def test_names_are_read_in_any_case_at_any_depth() -> None:
    found = DECODER.decode(b'{"NAME":"x","_Hidden":true,"Inner":[{"TEXT":"y","Data":"YWJj"}]}')
    assert found == _Outer("x", hidden=True, inner=(_Inner("y", b"abc"),))


def test_unknown_names_are_ignored_at_any_depth() -> None:
    found = DECODER.decode(b'{"other":[1],"inner":[{"text":"y","more":{}}],"name":"x"}')
    assert found == _Outer("x", inner=(_Inner("y"),))


def test_raw_json_survives_a_second_reading() -> None:
    found = DECODER.decode(b'{"x":1,"inner":[{"raw":{"b":1,"A":2}}]}')
    assert found.inner is not None
    assert bytes(found.inner[0].raw) == b'{"b":1,"A":2}'


def test_free_keys_keep_their_case() -> None:
    assert DECODER.decode(b'{"x":1,"options":{"Top_K":1}}').options == {"Top_K": 1}


@pytest.mark.parametrize("rest", [b" {}", b"garbage", b"\n{", b"]"])
@pytest.mark.parametrize("value", [b'{"name":"x"}', b'{"name":"x","other":1}', b'{"name":"' + b"x" * 99 + b'"}'])
def test_what_follows_the_first_value_is_ignored(value: bytes, rest: bytes) -> None:
    assert DECODER.decode(value + rest) == DECODER.decode(value)


@pytest.mark.parametrize("body", [b"null", b" null\n", b"{}"])
def test_null_is_an_empty_request(body: bytes) -> None:
    assert DECODER.decode(body) == _Outer()


@pytest.mark.parametrize("body", [b"", b"  \n"])
def test_no_body_has_a_text_of_its_own(body: bytes) -> None:
    with pytest.raises(InvalidRequest, match=r"^missing request body$"):
        DECODER.decode(body)


@pytest.mark.parametrize(
    "body", [b"{bad", b"[]", b'{"name":1}', b'{"x":1,"name":1}', b'{"name":"', b"\x1f\x8b", b'{"inner":[{"data":"%"}]}']
)
def test_wrong_json_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        DECODER.decode(body)
