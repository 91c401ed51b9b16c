"""HelseID, the login of the Norwegian health sector."""

from __future__ import annotations

from ..demands import Demands
from .preset import Preset, Rule

_PROFILE = (
    "https://utviklerportal.nhn.no/no/informasjonstjenester/helseid/protokoller-og-sikkerhetsprofil"
    "/sikkerhetsprofil/docs/sikkerhetsprofil_enmd"
)
_WIKI = "https://helseid.atlassian.net/wiki/pages"
_ASSERTION = f"{_WIKI}/viewpage.action?pageId=541982723"
_CLIENT = "NorskHelsenett/HelseID.Library: HelseId.Library.ClientCredentials"
_READ = "2026-11-30"

HELSEID = Preset(
    title="HelseID",
    settings={
        "PARJAR_ISSUER": "https://helseid-sts.nhn.no",
        "PARJAR_CLIENT_ID": "the-client-id",
        "PARJAR_SIGNING_KEY": "key.pem",
        "PARJAR_ASSERTION_TYP": "client-authentication+jwt",
        "PARJAR_DPOP": True,
        "PARJAR_SCOPES": "openid profile helseid://scopes/identity/pid",
    },
    rules=(
        Rule(
            name="pushed",
            demand="Requests are pushed, as in the FAPI 2.0 Security Profile.",
            source=_PROFILE,
            read=_READ,
            metadata={"require_pushed_authorization_requests": True},
        ),
        Rule(
            name="private_key_jwt",
            demand="The site authenticates with a client assertion, and not with a certificate.",
            source=_PROFILE,
            read=_READ,
            metadata={"token_endpoint_auth_methods_supported": ["private_key_jwt"]},
        ),
        Rule(
            name="assertion_typ",
            demand="The ``typ`` of client assertions is ``client-authentication+jwt``.",
            source="NorskHelsenett/HelseID.Samples: Common/JwtTokens/SigningTokenCreator.cs",
            read=_READ,
            demands=Demands(assertion_typ="client-authentication+jwt"),
        ),
        Rule(
            name="assertion_claims",
            demand="Client assertions have ``iat`` and ``nbf``.",
            source=_ASSERTION,
            read=_READ,
            demands=Demands(assertion_claims=("iat", "nbf")),
        ),
        Rule(
            name="assertion_lifetime",
            demand="The ``exp`` of client assertions is at most 60 seconds ahead.",
            source=_ASSERTION,
            read=_READ,
            demands=Demands(assertion_seconds_left=60),
        ),
        Rule(
            name="assertion_audience",
            demand="The ``aud`` of client assertions is the issuer.",
            source=f"{_CLIENT}/PayloadClaimCreators/ClientAssertionPayloadClaimsCreator.cs",
            read=_READ,
            demands=Demands(assertion_audience="issuer"),
        ),
        Rule(
            name="dpop",
            demand="Tokens are bound to a key: a token request has a DPoP proof.",
            source=f"{_WIKI}/diffpages.action?originalId=534740997&pageId=535003138",
            read=_READ,
            demands=Demands(dpop_at=("token_endpoint",)),
        ),
        Rule(
            name="dpop_nonce",
            demand="DPoP proofs have the nonce of the provider's answer.",
            source=f"{_CLIENT}/HelseIdClientCredentialsFlow.cs",
            read=_READ,
            demands=Demands(dpop_nonces=True),
        ),
    ),
)
