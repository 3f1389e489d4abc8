"""Answers to a registry's challenge: a token got with the identity of this machine, or stored credentials.

A token is fetched only from the host that sent the challenge, so that no registry can have ours sent elsewhere.
"""

import base64
import re
import secrets
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import msgspec

from lcrt.errors import LcrtError
from lcrt.registry.credentials import Credentials
from lcrt.registry.failure import Refused
from lcrt.registry.identity import Identity, signed
from lcrt.registry.remote import host_of, place

if TYPE_CHECKING:
    from lcrt.registry.client import Call

_SCHEME = re.compile(r"\s*([A-Za-z]+)\s*(.*)", re.DOTALL)
_PARAMETER = re.compile(r'([A-Za-z_]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]*))')
_NONCE_LEN = 16
_LOGIN = "`docker login {}` stores a name and password that are used"


class Challenge(msgspec.Struct, frozen=True):
    """What a registry wants to see."""

    scheme: str
    realm: str = ""
    service: str = ""
    scope: str = ""


class _Token(msgspec.Struct, frozen=True):
    token: str | None = None
    access_token: str | None = None


def parse_challenge(text: str) -> Challenge:
    """Read a WWW-Authenticate header."""
    match = _SCHEME.match(text)
    if match is None:
        return Challenge("")
    found = {name.lower(): quoted or bare for name, quoted, bare in _PARAMETER.findall(match[2])}
    return Challenge(match[1].lower(), found.get("realm", ""), found.get("service", ""), found.get("scope", ""))


class Authenticator:
    """Remembers what each repository accepted. Calls to ``answer`` must not overlap.

    ``identity`` reads the key of this machine, or makes one, when it is needed first.
    """

    def __init__(
        self, fetch: Callable[["Call"], bytes], credentials: Credentials, identity: Callable[[], Identity]
    ) -> None:
        self._fetch = fetch
        self._credentials = credentials
        self._identity = identity
        self._known: dict[tuple[tuple[str, str, int], str], str] = {}

    def known(self, url: str, repository: str) -> str | None:
        """The Authorization that this repository accepted last."""
        return self._known.get((place(url), repository))

    def answer(self, url: str, repository: str, challenges: Sequence[str], used: str | None) -> str:
        """Find another Authorization than the one that was ``used`` in vain; Refused when there is none."""
        known = self.known(url, repository)
        if known is not None and known != used:
            return known
        parsed = {challenge.scheme: challenge for challenge in map(parse_challenge, challenges)}
        if "bearer" in parsed:
            found = f"Bearer {self._token(url, parsed['bearer'])}"
        elif "basic" in parsed and (basic := self._credentials.basic(host_of(url))):
            found = basic
        else:
            raise Refused("unauthorized: access denied", 401, _LOGIN.format(host_of(url)))
        self._known[place(url), repository] = found
        return found

    def _token(self, url: str, challenge: Challenge) -> str:
        _check_realm(url, challenge.realm)
        basic = self._credentials.basic(host_of(url))
        if basic:
            return self._ask(_token_url(challenge, signed=False), basic)
        try:
            address = _token_url(challenge, signed=True)
            return self._ask(address, signed(self._identity(), "GET", address))
        except Refused:
            # A registry that knows no such signatures may still give a token to anybody.
            return self._ask(_token_url(challenge, signed=False), "")

    def _ask(self, address: str, authorization: str) -> str:
        from lcrt.registry.client import Call

        headers = {"Authorization": authorization} if authorization else {}
        try:
            answer = msgspec.json.decode(self._fetch(Call("GET", address, headers)), type=_Token)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise LcrtError(f"{host_of(address)} gave no token: {error}", "is it a registry? check the name") from error
        token = answer.token or answer.access_token
        if not token:
            raise Refused(f"{host_of(address)} gave no token", 401, _LOGIN.format(host_of(address)))
        return token


def _check_realm(url: str, realm: str) -> None:
    try:
        asked, wanted = place(url), place(realm)
    except ValueError as error:
        raise LcrtError(
            f'realm "{realm}" of {host_of(url)} is no web address',
            "the registry is set up wrongly: ask whoever runs it",
        ) from error
    if asked[1:] != wanted[1:]:
        raise LcrtError(
            f'realm host "{host_of(realm)}" does not match original host "{host_of(url)}"',
            f"no secret goes to another host: is {host_of(url)} the registry's own name, and is it set up well?",
        )
    if asked[0] != wanted[0]:
        raise LcrtError(
            f'realm "{realm}" and the registry at {host_of(url)} differ in http and https',
            "ask the registry as its realm says: `--insecure` means without TLS",
        )


def _token_url(challenge: Challenge, *, signed: bool) -> str:
    fields = [("service", challenge.service)] if challenge.service else []
    fields += [("scope", scope) for scope in challenge.scope.split()]
    if signed:
        nonce = base64.urlsafe_b64encode(secrets.token_bytes(_NONCE_LEN)).rstrip(b"=").decode()
        fields += [("ts", str(int(time.time()))), ("nonce", nonce)]
    joint = "&" if "?" in challenge.realm else "?"
    return challenge.realm + (joint + urlencode(sorted(fields)) if fields else "")
