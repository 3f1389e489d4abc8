import pytest

from lcrt.config.address import Address


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("", "http://127.0.0.1:11434"),
        ("1.2.3.4", "http://1.2.3.4:11434"),
        ("example.com:56789", "http://example.com:56789"),
        (":8080", "http://0.0.0.0:8080"),
        ("http://example.com", "http://example.com:80"),
        ("https://example.com", "https://example.com:443"),
        ("HTTPS://example.com:1", "https://example.com:1"),
        ("example.com/ollama/", "http://example.com:11434/ollama"),
        ("https://1.2.3.4:5/a/b", "https://1.2.3.4:5/a/b"),
        ("[::1]", "http://[::1]:11434"),
        ("[::1]:80", "http://[::1]:80"),
        ("::1", "http://[::1]:11434"),
    ],
)
def test_what_an_address_leaves_out_is_filled_in(text: str, url: str) -> None:
    assert Address.parse(text).url == url


@pytest.mark.parametrize("text", ["host:x", "host:70000", "host:-1", "ftp://host", "a b", "[::1", "[::1]x", "u@host"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="`"):
        Address.parse(text)


@pytest.mark.parametrize(
    ("text", "url"), [("0.0.0.0:1", "http://127.0.0.1:1"), ("[::]:1", "http://[::1]:1"), ("h:1", "http://h:1")]
)
def test_a_client_goes_to_loopback_where_a_server_listens_everywhere(text: str, url: str) -> None:
    assert Address.parse(text).for_client.url == url


@pytest.mark.parametrize(
    ("text", "loopback"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("localhost", True), ("[::1]", True), ("0.0.0.0", False), ("h", False)],
)
def test_loopback_is_known(text: str, loopback: bool) -> None:
    assert Address.parse(text).is_loopback is loopback
