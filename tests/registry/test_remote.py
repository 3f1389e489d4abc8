import pytest
from hypothesis import given
from hypothesis import strategies as st

from lcrt.core.name import ModelName
from lcrt.registry.remote import host_of, origin, place, remotes

PARTS = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True)
HOSTS = st.from_regex(r"[a-z0-9][a-z0-9-]{0,10}(\.[a-z0-9]{1,5})?(:[1-9][0-9]{0,3})?", fullmatch=True)
NAMESPACES = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,20}", fullmatch=True)


@given(HOSTS, NAMESPACES, PARTS, PARTS, st.booleans())
def test_every_name_has_an_address_on_its_own_host(
    host: str, namespace: str, model: str, tag: str, insecure: bool
) -> None:
    name = ModelName.parse(f"{host}/{namespace}/{model}:{tag}")
    remote = origin(name, insecure=insecure)
    scheme = "http" if insecure else "https"
    assert remote.manifest == f"{scheme}://{host}/v2/{namespace}/{model}/manifests/{tag}"
    assert place(remote.manifest)[:2] == (scheme, host.partition(":")[0])
    assert remote.blob("sha256:x").startswith(remote.manifest.partition("/manifests/")[0])


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://a/x", "https://A:443/y", True),
        ("http://a", "http://a:80", True),
        ("http://a", "https://a", False),
        ("https://a", "https://a.evil", False),
        ("https://a:444", "https://a", False),
        ("https://a@b/", "https://a/", False),
        ("https://[::1]:5/", "https://[::1]:5", True),
    ],
)
def test_secrets_are_shared_only_by_the_same_place(one: str, other: str, same: bool) -> None:
    assert (place(one) == place(other)) is same


def test_a_host_is_shown_as_people_write_it() -> None:
    shown = ["https://A.b/x", "http://a:80", "http://a:5000", "https://[::1]:5/"]
    assert [host_of(url) for url in shown] == ["a.b", "a", "a:5000", "[::1]:5"]


def test_a_mirror_is_asked_first_and_only_for_its_host() -> None:
    mirrors = (("registry.ollama.ai", "http://m/x"), ("other", "http://n"))
    found = remotes(ModelName.parse("m"), mirrors, insecure=False)
    assert [remote.manifest for remote in found] == [
        "http://m/x/v2/library/m/manifests/latest",
        "https://registry.ollama.ai/v2/library/m/manifests/latest",
    ]
    assert len(remotes(ModelName.parse("a/b/c"), mirrors, insecure=False)) == 1
