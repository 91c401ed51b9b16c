"""GOV.UK One Login, with requests that are signed and not pushed."""

from __future__ import annotations

from ..demands import Demands
from .preset import Preset, Rule

_DOCS = "govuk-one-login/tech-docs: source"
_AUTHENTICATE = f"{_DOCS}/integrate-with-integration-environment/authenticate-your-user.html.md.erb"
_OIDC = "govuk-one-login/authentication-api: oidc-api/src/main/java/uk/gov/di/authentication/oidc"
_METADATA = f"{_OIDC}/lambda/WellknownHandler.java"
_VALIDATOR = f"{_OIDC}/validators/RequestObjectAuthorizeValidator.java"
_SCOPES = (
    "govuk-one-login/authentication-api: orchestration-shared/src/main/java/uk/gov/di/orchestration"
    "/shared/entity/ValidScopes.java"
)
_READ = "2026-11-30"
_SCOPE = "(openid|email|phone|offline_access|am|govuk-account|doc-checking-app|wallet-subject-id)"

ONE_LOGIN = Preset(
    title="GOV.UK One Login",
    settings={
        "PARJAR_ISSUER": "https://oidc.account.gov.uk/",
        "PARJAR_CLIENT_ID": "the-client-id",
        "PARJAR_SIGNING_KEY": "rsa-key.pem",
        "PARJAR_REQUEST": "signed",
        "PARJAR_REQUEST_AUDIENCE": "authorization_endpoint",
        "PARJAR_ASSERTION_AUDIENCE": "token_endpoint",
        "PARJAR_SCOPES": "openid email",
    },
    rules=(
        Rule(
            name="not_pushed",
            demand="There are no pushed requests.",
            source=_METADATA,
            read=_READ,
            metadata={"pushed_authorization_request_endpoint": None},
        ),
        Rule(
            name="signed",
            demand="Requests are signed, if ``JarValidationRequired`` is set for the client.",
            source=f"{_DOCS}/configure-for-production/index.html.md.erb",
            read=_READ,
            metadata={"require_signed_request_object": True},
        ),
        Rule(
            name="request_audience",
            demand="The ``aud`` of requests is the URL of the authorization endpoint.",
            source=_VALIDATOR,
            read=_READ,
            demands=Demands(request_audience="authorization_endpoint"),
        ),
        Rule(
            name="state",
            demand="``state`` is there.",
            source=_VALIDATOR,
            read=_READ,
            demands=Demands(request_parameters={"state": ".+"}),
        ),
        Rule(
            name="nonce",
            demand="``nonce`` is there.",
            source=_VALIDATOR,
            read=_READ,
            demands=Demands(request_parameters={"nonce": ".+"}),
        ),
        Rule(
            name="login_hint",
            demand="``login_hint`` has at most 256 characters.",
            source=_VALIDATOR,
            read=_READ,
            demands=Demands(request_parameters={"login_hint": ".{0,256}"}),
        ),
        Rule(
            name="scopes",
            demand="Scopes are those of One Login: there is no ``profile``.",
            source=_SCOPES,
            read=_READ,
            demands=Demands(request_parameters={"scope": f"{_SCOPE}( {_SCOPE})*"}),
        ),
        Rule(
            name="response_mode",
            demand="The response mode is ``query`` or ``fragment``.",
            source=_AUTHENTICATE,
            read=_READ,
            metadata={"response_modes_supported": ["query", "fragment"]},
        ),
        Rule(
            name="client_auth",
            demand="The site authenticates with a client assertion, or with a secret in the form.",
            source=_METADATA,
            read=_READ,
            metadata={
                "token_endpoint_auth_methods_supported": ["private_key_jwt", "client_secret_post"]
            },
        ),
        Rule(
            name="algorithms",
            demand="Requests and client assertions are signed with RSA: RS256, PS256 and longer.",
            source=_METADATA,
            read=_READ,
            metadata={
                "token_endpoint_auth_signing_alg_values_supported": [
                    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
                ],
                "request_object_signing_alg_values_supported": None,
            },
        ),
        Rule(
            name="user_agent",
            demand="A token request has a ``User-Agent``.",
            source=_AUTHENTICATE,
            read=_READ,
            demands=Demands(headers=("User-Agent",)),
        ),
        Rule(
            name="id_token_algorithm",
            demand="ID tokens are signed with ES256 or RS256.",
            source=_METADATA,
            read=_READ,
            metadata={"id_token_signing_alg_values_supported": ["ES256", "RS256"]},
        ),
    ),
)
