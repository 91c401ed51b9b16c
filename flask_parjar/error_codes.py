"""The table of error codes: an HTTP status, and a sentence for each of its two readers.

The error page, the log and ``docs/errors`` are made from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Code(NamedTuple):
    """What one error code means: an HTTP status and a sentence for each reader."""

    status: int
    visitor: str
    operator: str


_AGAIN = "The login could not be finished. Please try again."
_SITE = "This site's login is not set up correctly. Its operators have been told in the log."
_PROVIDER = "The identity provider gave an answer that cannot be trusted, so nobody was logged in."
_AWAY = "The identity provider cannot be reached at the moment. Please try again shortly."
_FAULTY = "The identity provider is not working correctly at the moment. Please try again shortly."

CODES: Mapping[str, Code] = {
    # the developer must act
    "config": Code(500, _SITE, "Correct the keys named in the message."),
    # a login cannot be started
    "redirect_uri_unusable": Code(
        400,
        "This site cannot be logged in to under the address that your browser used.",
        "The callback's URL is made of the Host header, which was not usable: set "
        "PARJAR_REDIRECT_URI, or TRUSTED_HOSTS.",
    ),
    "provider_unknown": Code(
        404,
        "There is no such identity provider here.",
        "The name in the URL is none of the names in PARJAR_PROVIDERS.",
    ),
    "par_unsupported": Code(
        502,
        _SITE,
        "The provider's metadata has no pushed_authorization_request_endpoint. Switch PAR on "
        "there; only where that is impossible, set PARJAR_INSECURE_UNPUSHED_REQUEST.",
    ),
    "par_required": Code(
        502,
        _SITE,
        "The provider requires pushed requests: remove PARJAR_INSECURE_UNPUSHED_REQUEST.",
    ),
    "jar_required": Code(
        502,
        _SITE,
        "The provider requires signed requests: remove PARJAR_INSECURE_UNSIGNED_REQUEST.",
    ),
    "signing_alg_unsupported": Code(
        502,
        _SITE,
        "Our key and the provider's request_object_signing_alg_values_supported have no "
        "algorithm in common: use a key of another type, or another PARJAR_SIGNING_ALG.",
    ),
    "client_auth_unsupported": Code(
        502,
        _SITE,
        "The provider's token_endpoint_auth_methods_supported (or its signing algorithms) does "
        "not have what PARJAR_CLIENT_AUTH, the secret and the key allow.",
    ),
    "id_token_alg_unsupported": Code(
        502,
        _SITE,
        "The provider lists no asymmetric ID-token algorithm that PARJAR_ID_TOKEN_ALGS allows.",
    ),
    "pkce_unsupported": Code(
        502, _SITE, "The provider lists code_challenge_methods_supported without S256."
    ),
    "response_mode_unsupported": Code(
        502, _SITE, "PARJAR_RESPONSE_MODE is not among the provider's response_modes_supported."
    ),
    "userinfo_unsupported": Code(
        502, _SITE, "PARJAR_USERINFO is on, but the provider has no userinfo_endpoint."
    ),
    "user_refused": Code(
        403,
        "You have no account on this site.",
        "The function registered with @parjar.user_loader returned None for this identity.",
    ),
    # the provider answered error=…
    "access_denied": Code(
        403,
        "The login was cancelled, or the identity provider does not let you in.",
        "The provider answered access_denied: nothing to mend here if the person chose so.",
    ),
    "provider_refused": Code(
        400,
        "The identity provider refused the login.",
        "See error and error_description in the log line; the provider's own log says more.",
    ),
    "push_refused": Code(
        502,
        _SITE,
        "The provider refused the pushed request. See its error: often an unregistered "
        "redirect_uri, an unknown public key (is our /.well-known/jwks.json registered?), a "
        "scope that the client may not ask for, or a wrong clock.",
    ),
    "client_refused": Code(
        502,
        _SITE,
        "The provider did not accept our client authentication: compare PARJAR_CLIENT_ID, the "
        "secret or key, PARJAR_CLIENT_AUTH and PARJAR_ASSERTION_AUDIENCE with its registration. "
        "An assertion holds for a minute: is the clock of this machine right?",
    ),
    "code_refused": Code(
        400,
        _AGAIN,
        "The token endpoint refused the code: it was used before, was too old, or belongs to "
        "another redirect_uri or client.",
    ),
    "revocation_refused": Code(
        502, _PROVIDER, "The revocation endpoint refused a token; the person is logged out here."
    ),
    "userinfo_refused": Code(
        502, _PROVIDER, "The userinfo endpoint refused the access token it was just given."
    ),
    # the answer that the browser brought breaks a rule
    "response_malformed": Code(
        400,
        "The answer that your browser brought back is not well formed.",
        "A parameter of the callback is too long, not UTF-8, or there are too many.",
    ),
    "response_duplicate": Code(
        400,
        "The answer that your browser brought back is not well formed.",
        "A protocol parameter stands twice in the callback; nobody honest does that.",
    ),
    "state_missing": Code(
        400,
        "This page finishes a login, and none was under way. Please start from the login page.",
        "The callback was called without state: an old bookmark, a robot, or a provider that "
        "does not return state.",
    ),
    "state_forged": Code(
        400,
        "The answer that your browser brought back does not belong to this site.",
        "The state was not signed with this app's SECRET_KEY (or SECRET_KEY_FALLBACKS): an "
        "attack, or two deployments with different keys.",
    ),
    "state_mismatch": Code(
        400,
        "The answer came back to the wrong place, so it was not accepted.",
        "A response for one provider arrived at another provider's callback (mix-up defence).",
    ),
    "login_expired": Code(
        400,
        "The login took too long. Please try again.",
        "More than PARJAR_TRANSACTION_LIFETIME seconds lay between login and callback, twice.",
    ),
    "login_lost": Code(
        400,
        "Your browser did not keep the login that it began. Are cookies allowed for this site? "
        "Please try again.",
        "The session cookie was not there at the callback, twice. Look at SESSION_COOKIE_SECURE "
        "on plain http, SESSION_COOKIE_SAMESITE=Strict, SESSION_COOKIE_DOMAIN, a cookie over "
        "4 kB, or a site that is reached under two host names.",
    ),
    "issuer_mismatch": Code(
        400,
        "The answer came from another identity provider than the one that was asked.",
        "The iss parameter of the callback is not the issuer of this login (RFC 9207).",
    ),
    "issuer_missing": Code(
        400,
        "The answer of the identity provider is incomplete.",
        "The provider promises an iss parameter in its metadata and did not send it (RFC 9207).",
    ),
    "code_missing": Code(
        400,
        "The answer of the identity provider is incomplete.",
        "The callback has neither code nor error, or the code is empty or too long.",
    ),
    # a token breaks a rule
    "token_response": Code(
        502, _PROVIDER, "The token endpoint's answer lacks a member or has one of a wrong type."
    ),
    "token_type": Code(
        502, _PROVIDER, "The token endpoint gave a token_type that was not asked for."
    ),
    "id_token_missing": Code(
        502, _PROVIDER, "The token endpoint gave no id_token: is openid among the scopes?"
    ),
    "token_malformed": Code(502, _PROVIDER, "The token is not a well-formed compact JWT."),
    "token_header": Code(
        502, _PROVIDER, "The token's header has a member that is never accepted (RFC 8725)."
    ),
    "token_kind": Code(
        502, _PROVIDER, "The token's typ says that it is another kind of token (RFC 8725)."
    ),
    "token_algorithm": Code(
        502,
        _PROVIDER,
        "The token is signed with an algorithm that is not allowed here: see PARJAR_ID_TOKEN_ALGS.",
    ),
    "token_key": Code(
        502, _PROVIDER, "No published key of the provider fits the token, even after a refetch."
    ),
    "token_signature": Code(502, _PROVIDER, "The token's signature is not that of the provider."),
    "token_claim": Code(
        502, _PROVIDER, "A claim of the token is missing or has a wrong type; the log names it."
    ),
    "token_issuer": Code(502, _PROVIDER, "The token was made by another issuer."),
    "token_audience": Code(
        502, _PROVIDER, "The token is not for this client, or not for this client alone."
    ),
    "token_expired": Code(
        502,
        _PROVIDER,
        "The token has expired. Is the clock of this machine right? See PARJAR_CLOCK_SKEW.",
    ),
    "token_from_the_future": Code(
        502,
        _PROVIDER,
        "The token is not valid yet. Is the clock of this machine right? See PARJAR_CLOCK_SKEW.",
    ),
    "token_too_old": Code(
        502,
        _PROVIDER,
        "The token was issued long before this login. Is this machine's clock right?",
    ),
    "token_nonce": Code(502, _PROVIDER, "The token's nonce is not the one of this login."),
    "token_hash": Code(
        502, _PROVIDER, "The token's at_hash does not fit the access token that came with it."
    ),
    "token_subject": Code(502, _PROVIDER, "The token's sub is not a usable identifier."),
    "token_auth_time": Code(
        502, _PROVIDER, "max_age was asked for, and auth_time is missing or too old."
    ),
    "token_acr": Code(
        502, _PROVIDER, "An essential acr was asked for, and the token has another one."
    ),
    "userinfo_subject": Code(
        502, _PROVIDER, "The userinfo is about another subject than the ID token."
    ),
    # log in, or be someone else
    "login_required": Code(401, "Please log in to see this page.", "Nothing: this is a guard."),
    "refresh_refused": Code(
        401,
        "Your login has ended. Please log in again.",
        "The provider refused the refresh token (invalid_grant): it was revoked, has expired, or "
        "was used twice. The stored tokens were removed.",
    ),
    "tokens_missing": Code(
        401,
        "Your login has ended. Please log in again.",
        "There is no live token: it expired and the provider gave no refresh token (is "
        "offline_access among PARJAR_SCOPES? some want prompt=consent too, in "
        "PARJAR_AUTHORIZATION_PARAMS), or PARJAR_STORE lost it.",
    ),
    "step_up_required": Code(
        401,
        "Please confirm who you are to go on.",
        "Nothing: @step_up_required or an API asked for a stronger or a fresher login (RFC 9470).",
    ),
    "step_up_failed": Code(
        403,
        "This needs a stronger login than the identity provider gave you.",
        "A login that asked for this very acr or max_age is just over and did not help. Does the "
        "provider know the acr_values, and does the API look at the same ones?",
    ),
    "insufficient_scope": Code(
        403,
        "You are not allowed to see this page.",
        "The view's @scopes_required names a scope "
        "that this login was not granted: see PARJAR_SCOPES.",
    ),
    "insufficient_claims": Code(
        403,
        "You are not allowed to see this page.",
        "The view's @claims_required names a claim that this identity does not have.",
    ),
    "cross_site": Code(
        403,
        "Another site tried to log you out. You are still logged in.",
        "A POST to the logout route did not come from a page of this site.",
    ),
    "tokens_lost": Code(
        500,
        _SITE,
        "A login is seconds old, and its tokens are gone or have expired: does the provider say "
        "expires_in 0, does the browser drop the token cookies, does Redis evict keys?",
    ),
    # logout notices
    "notice_missing": Code(
        400,
        "This address is for identity providers.",
        "The call has no logout_token, or not one of a usable size.",
    ),
    "notice_repeated": Code(
        400,
        "This address is for identity providers.",
        "A logout token with this jti was taken already (replay).",
    ),
    "notices_unsupported": Code(
        400,
        "This address is for identity providers.",
        "PARJAR_STORE has nowhere to keep a logout notice: use redis:// or, on one process, "
        "memory.",
    ),
    # what PARJAR_STORE names is broken
    "store_unreachable": Code(
        503,
        "This site cannot reach its own memory at the moment. Please try again shortly.",
        "The store of PARJAR_STORE does not answer, or refuses: is Redis up, has it memory left?",
    ),
    "store_busy": Code(
        503,
        "This site is busy at the moment. Please try again shortly.",
        "Another request has been renewing the same tokens for longer than PARJAR_HTTP_TIMEOUT "
        "allows: it hangs, or its process died; its lock goes by itself.",
    ),
    "store_unshared": Code(
        500,
        _SITE,
        "PARJAR_STORE is memory, which one process has for itself, and this server runs several: "
        "use redis://, or one worker with threads.",
    ),
    "tokens_too_large": Code(
        500,
        _SITE,
        "The tokens do not fit into cookies, even without the ID token: set PARJAR_STORE to "
        "redis://.",
    ),
    # the provider, or the way to it, is broken
    "provider_unreachable": Code(
        503, _AWAY, "No connection to the provider: name, network, proxy, certificate?"
    ),
    "provider_timeout": Code(
        503, _AWAY, "The provider did not answer within PARJAR_HTTP_TIMEOUT seconds."
    ),
    "provider_busy": Code(503, _AWAY, "The provider answered 429 or 503: it asks for patience."),
    "provider_failed": Code(502, _FAULTY, "The provider answered with a status that is an error."),
    "provider_redirect": Code(
        502, _FAULTY, "The provider answered with a redirect, which is never followed."
    ),
    "provider_answer": Code(
        502, _FAULTY, "The provider's answer is not a JSON object, or is too large."
    ),
    "push_answer": Code(
        502, _FAULTY, "The answer to the push has no usable request_uri and expires_in (RFC 9126)."
    ),
    "metadata": Code(
        502, _SITE, "The provider's metadata lacks a member or has a wrong one; the log names it."
    ),
    "metadata_issuer": Code(
        502,
        _SITE,
        "The issuer in the provider's metadata is not PARJAR_ISSUER, character by character: "
        "look at the trailing slash.",
    ),
    "jwks": Code(502, _FAULTY, "The provider's key set cannot be read."),
}
