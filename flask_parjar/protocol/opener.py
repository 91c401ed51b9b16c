"""Every JWT that we receive: it is decrypted, and its signature, issuer and audience verified."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from ..errors import TokenRejected
from .agreement import Agreement
from .encoding import is_number
from .jwe import Decryption, is_encrypted
from .jws import VerifiedToken, read_unverified, verify_token
from .key_set import KeySet

T = TypeVar("T")


class TokenKind(NamedTuple):
    """The rules for one kind of token.

    :param algs: gives the accepted algorithms of an agreement.
    :param typs: the values of ``typ`` that it may have, in lower case and without
        ``application/``; None where it may be absent.
    :param decryption: gives how an agreement lets it come encrypted; None if it must be clear.
    :param may_be_clear: whether it may be clear although tokens come encrypted.
    :param azp: whether ``azp`` is checked and other audiences must be trusted. These are rules for
        the ID token (OpenID Connect Core 3.1.3.7), not for userinfo (section 5.3.2).
    :param issuer_first: whether ``iss`` is also compared before a key is looked for. A token that
        any browser can bring must not make us fetch keys if it names another issuer.
    :param tenant_named: whether a token of a tenant must say so in ``tid``.
    :param may_repeat: whether a claim may be repeated if it is the same string each time.
    """

    algs: Callable[[Agreement], tuple[str, ...]]
    typs: tuple[str | None, ...]
    decryption: Callable[[Agreement], Decryption | None]
    may_be_clear: bool = False
    azp: bool = True
    issuer_first: bool = False
    tenant_named: bool = False
    may_repeat: bool = False


def _id_token_algs(agreement: Agreement) -> tuple[str, ...]:
    return agreement.id_token_algs


def _userinfo_algs(agreement: Agreement) -> tuple[str, ...]:
    return agreement.userinfo_algs


def _id_token_decryption(agreement: Agreement) -> Decryption | None:
    return agreement.id_token_decryption


def _userinfo_decryption(agreement: Agreement) -> Decryption | None:
    return agreement.userinfo_decryption


def _response_algs(agreement: Agreement) -> tuple[str, ...]:
    return agreement.response_algs


def _response_decryption(agreement: Agreement) -> Decryption | None:
    return agreement.response_decryption


ID_TOKEN = TokenKind(
    algs=_id_token_algs,
    typs=(None, "jwt", "id_token+jwt"),
    decryption=_id_token_decryption,
    tenant_named=True,
)
USERINFO = TokenKind(
    algs=_userinfo_algs,
    typs=(None, "jwt", "userinfo+jwt"),
    decryption=_userinfo_decryption,
    azp=False,
)
LOGOUT_TOKEN = TokenKind(
    algs=_id_token_algs,
    # The last two are for providers that are older than RFC 8725.
    typs=("logout+jwt", "jwt", None),
    # OpenID Connect Back-Channel Logout section 2.4: as the ID token. But Keycloak encrypts none.
    decryption=_id_token_decryption,
    may_be_clear=True,
)
RESPONSE = TokenKind(
    algs=_response_algs,
    typs=(None, "jwt"),
    decryption=_response_decryption,
    issuer_first=True,
    may_repeat=True,  # Keycloak writes iss twice: that of RFC 9207, and that of JARM
)


class TokenOpener(NamedTuple):
    """Decrypts and verifies the tokens of one provider.

    :param keys: the provider's keys.
    """

    agreement: Agreement
    keys: KeySet

    def open(self, text: str, *, kind: TokenKind) -> VerifiedToken:
        """Decrypt a token, then verify its signature, its issuer and its audience.

        What is inside an encrypted token must be signed. It is not decrypted a second time.

        :returns: the signed token, without the encryption around it.
        :raises TokenRejected: with the code of the first check that fails.

        RFC 8725, OpenID Connect Core 3.1.3.7.
        """
        signed = self._decrypt(text, kind)
        if kind.issuer_first:
            self.agreement.accepted_issuer.verify(read_unverified(signed), tenant_named=False)
        token = verify_token(
            signed,
            keys=self.keys,
            expected_algs=kind.algs(self.agreement),
            expected_typs=kind.typs,
            may_repeat=kind.may_repeat,
        )
        self.agreement.accepted_issuer.verify(
            token.claims, tenant_named=kind.tenant_named, key_issuer=token.key_issuer
        )
        _verify_audience(token.claims, self.agreement, azp_counts=kind.azp)
        return token

    def _decrypt(self, text: str, kind: TokenKind) -> str:
        """Decrypt a token if that was agreed: nothing is accepted that was agreed otherwise."""
        decryption = kind.decryption(self.agreement)
        if not is_encrypted(text):
            if decryption is not None and not kind.may_be_clear:
                raise TokenRejected("token_not_encrypted")
            return text
        if decryption is None:
            raise TokenRejected("token_encrypted")
        return decryption.decrypt(text)


#: Calls a function with an opener. The provider's keys are fetched where this is called, and not
#: before; where they have none for a token, the function is called once more with newer ones.
OpenWith = Callable[[Callable[[TokenOpener], T]], T]


def number_claim(claims: Mapping[str, Any], name: str, *, default: float | None = None) -> float:
    """Read a claim that is a number. A claim that is null is missing: some servers write null.

    :param default: its value if it is missing; None if it must be there.
    :raises TokenRejected: ``token_claim``.
    """
    value = claims.get(name)
    number = default if value is None else value
    if not is_number(number):
        raise TokenRejected("token_claim", f"{name} is missing or not a number")
    return number


def _verify_audience(claims: Mapping[str, Any], agreement: Agreement, *, azp_counts: bool) -> None:
    """``aud`` has our client, every other audience is trusted, and ``azp``, if any, is our client.

    OpenID Connect Core 3.1.3.7 (3 to 5), errata set 2: several audiences need no ``azp``.
    """
    audience, azp = claims.get("aud"), claims.get("azp")
    listed = [audience] if isinstance(audience, str) else audience
    if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
        raise TokenRejected("token_audience", "aud is not a string or a list of strings")
    if agreement.client_id not in listed:
        raise TokenRejected("token_audience", f"aud={str(listed)[:200]}")
    if not azp_counts:
        return
    untrusted = set(listed) - {agreement.client_id, *agreement.trusted_audiences}
    if untrusted:
        raise TokenRejected(
            "token_audience", f"untrusted audiences: {str(sorted(untrusted))[:200]}"
        )
    if azp is not None and azp != agreement.client_id:
        raise TokenRejected("token_audience", f"azp={str(azp)[:200]!r}")
