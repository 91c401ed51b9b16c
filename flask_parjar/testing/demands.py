"""What a provider demands of its clients beyond the standards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields

from .clients import Encryption


@dataclass(slots=True, kw_only=True)
class Demands:
    """What a provider demands of clients beyond the standards; at first it demands nothing.

    An audience is ``issuer``, ``endpoint`` (the URL that is called), the name of an endpoint in the
    metadata such as ``token_endpoint``, or the ``aud`` itself. Of several with spaces between, any
    one is accepted.

    :param request_audience: the ``aud`` of request objects, in place of the issuer
    :param request_beside: parameters that must also be beside a pushed request object, as servers
        made with fosite want ``scope``
    :param request_parameters: regular expressions that the values of parameters must match from
        beginning to end; a parameter that is missing counts as empty
    :param known_parameters: the only parameters that the browser may bring, as at FranceConnect;
        without ``code_challenge`` among them there is no PKCE
    :param request_encrypted: whether request objects must be encrypted
    :param assertion_audience: the ``aud`` of client assertions, at every endpoint
    :param assertion_typ: the only ``typ`` of client assertions
    :param key_headers: header members that request objects and client assertions must have besides
        ``kid``: ``x5t#S256``, ``x5t``, ``x5c``; each must be that of the registered key. With
        ``x5t#S256`` a client assertion needs no ``kid``
    :param assertion_claims: names of claims that client assertions must have
    :param assertion_seconds: how long after ``iat`` the ``exp`` of client assertions may be
    :param assertion_seconds_left: how long after now it may be
    :param assertion_length: how many characters client assertions may have
    :param key_of_the_push: whether a code and a refresh token are accepted only with assertions of
        the key that authenticated the push, as at AT Protocol servers; else the login has ended
    :param basic_alone: whether a ``client_id`` in the form beside ``client_secret_basic`` is
        refused as a second way to authenticate
    :param dpop_at: the endpoints where a request must have a DPoP proof:
        ``pushed_authorization_request_endpoint``, ``token_endpoint``
    :param dpop_claims: names of claims that DPoP proofs must have
    :param dpop_nonces: whether DPoP proofs must have a nonce of ours (RFC 9449 section 8)
    :param headers: names of headers that every request with client authentication must have
    :param id_token_encryption: encrypts the ID tokens of clients that register from now on,
        whatever they register
    :param userinfo_encryption: likewise for userinfo
    """

    request_audience: str | None = None
    request_beside: tuple[str, ...] = ()
    request_parameters: Mapping[str, str] = field(default_factory=dict)
    known_parameters: tuple[str, ...] = ()
    request_encrypted: bool = False
    assertion_audience: str | None = None
    assertion_typ: str | None = None
    assertion_claims: tuple[str, ...] = ()
    assertion_seconds: int | None = None
    assertion_seconds_left: int | None = None
    assertion_length: int | None = None
    key_headers: tuple[str, ...] = ()
    key_of_the_push: bool = False
    basic_alone: bool = False
    dpop_at: tuple[str, ...] = ()
    dpop_claims: tuple[str, ...] = ()
    dpop_nonces: bool = False
    headers: tuple[str, ...] = ()
    id_token_encryption: Encryption | None = None
    userinfo_encryption: Encryption | None = None

    def takes(self, parameter: str) -> bool:
        """Whether the browser may bring a parameter."""
        return not self.known_parameters or parameter in self.known_parameters


def all_of(several: Iterable[Demands]) -> Demands:
    """The demands of all of these together; of two for the same, the later one."""
    nothing, together = Demands(), Demands()
    for one in several:
        for name in (each.name for each in fields(Demands)):
            value, before = getattr(one, name), getattr(together, name)
            if type(value) is tuple:
                value = (*before, *value)
            elif isinstance(value, Mapping):
                value = {**before, **value}
            elif value == getattr(nothing, name):
                continue
            setattr(together, name, value)
    return together
