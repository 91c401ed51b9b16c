"""The table of error codes: an HTTP status, a sentence for the visitor and one for the operator.

The error page, the log and ``docs/errors`` are made from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Code(NamedTuple):
    """What one error code means.

    :param status: the HTTP status.
    :param visitor: the sentence on the error page.
    :param operator: the sentence in the log: what to do.
    """

    status: int
    visitor: str
    operator: str


_AGAIN = "The login could not be completed. Please try again."
_SITE = (
    "The login of this site is not configured correctly. The operators find the reason in the log."
)
_PROVIDER = "The answer of the identity provider was not valid, so you were not logged in."
_AWAY = "The identity provider cannot be reached at the moment. Please try again shortly."
_FAULTY = "The identity provider is not working correctly at the moment. Please try again shortly."

CODES: Mapping[str, Code] = {
    # the configuration is wrong
    "config": Code(
        500,
        _SITE,
        "Correct the keys that the message names.",
    ),
    # a login cannot be started
    "redirect_uri_unusable": Code(
        400,
        "The login does not work under the address that your browser used.",
        "The URL of the callback is made from the Host header, and this header was not usable: "
        "set PARJAR_REDIRECT_URI or TRUSTED_HOSTS.",
    ),
    "redirect_uri_insecure": Code(
        400,
        "The login works only under an address of this site that begins with https.",
        "PARJAR_PROFILE wants a redirect_uri that is https (http on loopback only). Behind a "
        "proxy: see docs/deploying (ProxyFix), or set PARJAR_REDIRECT_URI.",
    ),
    "provider_unknown": Code(
        404,
        "This site has no identity provider with this name.",
        "The name in the URL is not in PARJAR_PROVIDERS.",
    ),
    "issuer_unknown": Code(
        400,
        "This site has no login at the identity provider that the link names.",
        "Another site began a login (OpenID Connect Core section 4), and its iss is not exactly "
        "the issuer of a provider: PARJAR_ISSUER, or a tenant of PARJAR_TENANTS. Or it is the "
        "issuer of another provider than the one in the URL.",
    ),
    "initiation_malformed": Code(
        400,
        "The link or the form that led you here is not well formed.",
        "Another site began a login (OpenID Connect Core section 4): iss is missing in its form, "
        "the form is too long, or iss, login_hint or target_link_uri came twice or is longer than "
        "2,048 characters (4,000 characters of a URL for all three in a form).",
    ),
    "par_unsupported": Code(
        502,
        _SITE,
        "PARJAR_REQUEST says that requests are pushed (this is the default), and the provider's "
        "metadata has no pushed_authorization_request_endpoint. Switch PAR on at the provider. "
        "Only if that is impossible, set PARJAR_REQUEST to signed or plain.",
    ),
    "par_required": Code(
        502,
        _SITE,
        "The provider requires pushed requests: set PARJAR_REQUEST to pushed+signed or pushed.",
    ),
    "jar_required": Code(
        502,
        _SITE,
        "The provider requires signed requests: set PARJAR_REQUEST to pushed+signed or signed.",
    ),
    "jar_unsupported": Code(
        502,
        _SITE,
        "PARJAR_REQUEST says that requests are signed (this is the default), and the provider's "
        "metadata says that it takes none: request_parameter_supported is false, or (if requests "
        "are not pushed) no member speaks of signed requests. Switch them on at the provider. Only "
        "if that is impossible, set PARJAR_REQUEST to pushed or plain.",
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
        "The provider's token_endpoint_auth_methods_supported (or its signing algorithms) have "
        "nothing that PARJAR_CLIENT_AUTH, the secret and the key allow.",
    ),
    "id_token_alg_unsupported": Code(
        502,
        _SITE,
        "The provider lists no asymmetric algorithm for ID tokens that PARJAR_ID_TOKEN_ALGS "
        "allows.",
    ),
    "id_token_encryption_unsupported": Code(
        502,
        _SITE,
        "The provider does not list the alg, or no enc, of PARJAR_ID_TOKEN_ENCRYPTION: write what "
        "is registered there for this site.",
    ),
    "userinfo_encryption_unsupported": Code(
        502,
        _SITE,
        "The provider does not list the alg, or no enc, of PARJAR_USERINFO_ENCRYPTION: write what "
        "is registered there for this site.",
    ),
    "response_encryption_unsupported": Code(
        502,
        _SITE,
        "The provider does not list the alg, or no enc, of PARJAR_RESPONSE_ENCRYPTION: write what "
        "is registered there for this site.",
    ),
    "response_alg_unsupported": Code(
        502,
        _SITE,
        "The provider's authorization_signing_alg_values_supported (RS256 if it has no such list) "
        "and PARJAR_ID_TOKEN_ALGS have no algorithm in common.",
    ),
    "request_encryption_unsupported": Code(
        502,
        _SITE,
        "The provider does not list PARJAR_REQUEST_ENCRYPTION_ALG or PARJAR_REQUEST_ENCRYPTION_ENC "
        "(request_object_encryption_alg_values_supported and …_enc_values_supported). A request is "
        "never sent without its encryption: use what the provider lists, or remove the keys.",
    ),
    "request_encryption_key": Code(
        502,
        _SITE,
        "The provider publishes no key with use enc that fits PARJAR_REQUEST_ENCRYPTION_ALG.",
    ),
    "pkce_unsupported": Code(
        502,
        _SITE,
        "The provider's code_challenge_methods_supported has no S256.",
    ),
    "response_mode_unsupported": Code(
        502,
        _SITE,
        "The provider's response_modes_supported does not have the mode of PARJAR_RESPONSE_MODE "
        "(query if that is not set). Without this list a provider has no form_post.",
    ),
    "request_too_long": Code(
        502,
        _SITE,
        "The URL of an unpushed request is longer than 8 kB, which many servers refuse. Push the "
        "request (set PARJAR_REQUEST to pushed+signed or pushed), or request less.",
    ),
    "acr_unsupported": Code(
        502,
        _SITE,
        "An essential acr was requested (by @step_up_required or LoginOptions), and the provider's "
        "acr_values_supported has none of its values.",
    ),
    "authorization_details_unsupported": Code(
        502,
        _SITE,
        "The login asks for authorization_details of a type that is not in the provider's "
        "authorization_details_types_supported.",
    ),
    "dpop_alg_unsupported": Code(
        502,
        _SITE,
        "PARJAR_DPOP is on, and the provider's dpop_signing_alg_values_supported has none of "
        "ES256, Ed25519, EdDSA, ES384 and ES512.",
    ),
    "bound_tokens_unsupported": Code(
        502,
        _SITE,
        "PARJAR_BOUND_TOKENS is on, and the provider's metadata does not say "
        "tls_client_certificate_bound_access_tokens: true. Switch it on at the provider, or use "
        "PARJAR_DPOP, or remove the key.",
    ),
    "mtls_alias_unusable": Code(
        502,
        _SITE,
        "The certificate of PARJAR_CLIENT_CERT authenticates this client or binds its tokens, and "
        "mtls_endpoint_aliases of the provider's metadata has a URL that cannot be used. The "
        "provider has to correct it: an alias is an https URL.",
    ),
    "userinfo_unsupported": Code(
        502,
        _SITE,
        "PARJAR_USERINFO is on, but the provider has no userinfo_endpoint.",
    ),
    "user_refused": Code(
        403,
        "You have no account on this site.",
        "The function registered with @parjar.user_loader returned None for this identity.",
    ),
    # the provider answered error=…
    "access_denied": Code(
        403,
        "The login was cancelled, or the identity provider does not allow it.",
        "The provider answered access_denied. If the person cancelled the login, there is "
        "nothing to fix.",
    ),
    "provider_refused": Code(
        400,
        "The identity provider refused the login.",
        "See error and error_description in the log line. The provider's own log says more.",
    ),
    "interaction_required": Code(
        401,
        "The identity provider has a question for you first. Please log in.",
        "The provider answered login_required, consent_required or similar: with prompt=none it "
        "may not ask the person. Begin another login without prompt=none.",
    ),
    "push_refused": Code(
        502,
        _SITE,
        "The provider refused the pushed request. See its error in the log. Common reasons: the "
        "redirect_uri is not registered, the public key is unknown (is our "
        "/.well-known/jwks.json registered?), the client may not request a scope, or a clock is "
        "wrong.",
    ),
    "client_refused": Code(
        502,
        _SITE,
        "The provider refused our client authentication. Compare PARJAR_CLIENT_ID, the secret "
        "or the key, PARJAR_CLIENT_AUTH and PARJAR_ASSERTION_AUDIENCE with the registration. An "
        "assertion is valid for one minute: is the clock of this machine right?",
    ),
    "code_refused": Code(
        400,
        _AGAIN,
        "The token endpoint refused the code: it was used before, has expired, or belongs to "
        "another redirect_uri or client. Or the provider wants another login.",
    ),
    "exchange_refused": Code(
        502,
        _SITE,
        "The token endpoint refused our request, and not the code. Its error in the log says why: "
        "it may require DPoP or a client certificate, or the client may not have a scope, a "
        "resource or this grant type.",
    ),
    "dpop_refused": Code(
        502,
        _SITE,
        "The provider refused our DPoP proof, or there is none because PARJAR_DPOP is not set. "
        "Compare the clocks, and the URLs in its metadata with those that it knows itself by. It "
        "may also have asked for a nonce again and again. "
        "If it refuses proofs in pushed requests, set PARJAR_DPOP_AT_PAR to False.",
    ),
    "revocation_refused": Code(
        502,
        _PROVIDER,
        "The revocation endpoint refused a token. The person is logged out of this site.",
    ),
    "userinfo_refused": Code(
        502,
        _PROVIDER,
        "The userinfo endpoint refused the access token that was just issued.",
    ),
    # the callback breaks a rule
    "response_malformed": Code(
        400,
        "The answer from the identity provider is not well formed.",
        "A parameter of the callback is too long or not UTF-8 text, or there are too many. In a "
        "signed response, one may be no string.",
    ),
    "response_method": Code(
        405,
        "The answer from the identity provider arrived in a way that this site does not expect.",
        "The provider answered with another response mode than that of PARJAR_RESPONSE_MODE "
        "(query is GET, form_post is POST). Or a bookmark or a bot opened the callback.",
    ),
    "response_unsigned": Code(
        400,
        "The answer from the identity provider is not signed, so it was not accepted.",
        "PARJAR_RESPONSE_MODE says that the provider's answer is a signed JWT, and the callback "
        "has no parameter response. Plain parameters are never accepted in its place. A provider "
        "that does not know the response mode answers so. Or a bookmark or a bot opened the "
        "callback.",
    ),
    "response_duplicate": Code(
        400,
        "The answer from the identity provider is not well formed.",
        "The callback has a protocol parameter twice. A correct provider never sends that.",
    ),
    "state_missing": Code(
        400,
        "This page completes a login, but no login was started. Please start at the login page.",
        "The callback was called without state: by an old bookmark, by a bot, or by a provider "
        "that does not return state. A parameter response in its place comes of another response "
        "mode than that of PARJAR_RESPONSE_MODE.",
    ),
    "state_forged": Code(
        400,
        "The answer from the identity provider does not belong to this site.",
        "The state was not signed with this app's SECRET_KEY (or SECRET_KEY_FALLBACKS). Either two "
        "worker processes or deployments have different keys (a key that is made at start is "
        "another one in each process), or this is an attack.",
    ),
    "state_mismatch": Code(
        400,
        "The answer arrived at the wrong URL, so it was not accepted.",
        "The response of one provider arrived at the callback of another provider (mix-up "
        "defence).",
    ),
    "login_expired": Code(
        400,
        "The login took too long. Please try again.",
        "The time between login and callback was longer than PARJAR_TRANSACTION_LIFETIME, twice; "
        "or longer than a day.",
    ),
    "login_lost": Code(
        400,
        "Your browser did not keep the cookie of this login. Are cookies allowed for this site? "
        "Please try again.",
        "The session cookie did not arrive at the callback, twice. Check SESSION_COOKIE_SECURE "
        "with plain http, SESSION_COOKIE_SAMESITE=Strict, SESSION_COOKIE_DOMAIN, a cookie over "
        "4 kB, and whether the site has two host names.",
    ),
    "issuer_mismatch": Code(
        400,
        "The answer came from another identity provider than the one that was asked.",
        "The iss parameter of the callback is not the issuer of this login (RFC 9207).",
    ),
    "issuer_missing": Code(
        400,
        "The answer of the identity provider is incomplete.",
        "The callback has no iss parameter (RFC 9207). The provider's metadata promises it, or "
        "PARJAR_PROFILE demands it: switch it on at the provider.",
    ),
    "code_missing": Code(
        400,
        "The answer of the identity provider is incomplete.",
        "The callback has neither code nor error, or the code is empty or too long.",
    ),
    # a token breaks a rule
    "token_response": Code(
        502,
        _PROVIDER,
        "The answer of the token endpoint lacks a member, or a member has the wrong type.",
    ),
    "token_type": Code(
        502,
        _PROVIDER,
        "The token endpoint returned a token_type that was not requested.",
    ),
    "token_unbound": Code(
        502,
        _PROVIDER,
        "PARJAR_DPOP is on, and the provider answered with token_type Bearer: anybody who has such "
        "a token can use it. Switch DPoP on for this client at the provider.",
    ),
    "token_details": Code(
        502,
        _PROVIDER,
        "authorization_details in the answer of the token endpoint is not a list of objects with a "
        "type, or it is too large.",
    ),
    "token_details_unasked": Code(
        502,
        _PROVIDER,
        "The token endpoint granted authorization_details of a type that this login did not ask "
        "for.",
    ),
    "id_token_missing": Code(
        502,
        _PROVIDER,
        "The token endpoint returned no id_token. Is openid among the scopes?",
    ),
    "token_malformed": Code(
        502,
        _PROVIDER,
        "The token is not a well-formed compact JWT.",
    ),
    "token_not_encrypted": Code(
        502,
        _PROVIDER,
        "The token is not encrypted, but PARJAR_ID_TOKEN_ENCRYPTION, PARJAR_USERINFO_ENCRYPTION or "
        "PARJAR_RESPONSE_ENCRYPTION is set. Register the encryption at the provider, or remove the "
        "key.",
    ),
    "token_encrypted": Code(
        502,
        _PROVIDER,
        "The token is encrypted, but PARJAR_ID_TOKEN_ENCRYPTION, PARJAR_USERINFO_ENCRYPTION or "
        "PARJAR_RESPONSE_ENCRYPTION is not set. Write there what is registered at the provider.",
    ),
    "token_encryption": Code(
        502,
        _PROVIDER,
        "The token is encrypted in another way than PARJAR_ID_TOKEN_ENCRYPTION, "
        "PARJAR_USERINFO_ENCRYPTION or PARJAR_RESPONSE_ENCRYPTION says (alg, enc), is compressed, "
        "or has no cty JWT.",
    ),
    "token_decryption": Code(
        502,
        _PROVIDER,
        "The token cannot be decrypted with any key of PARJAR_ENCRYPTION_KEY. Perhaps the provider "
        "has not read our new key, or an old one was taken out too early.",
    ),
    "token_header": Code(
        502,
        _PROVIDER,
        "The token's header has crit, b64, enc or zip, or its kid or typ is not a string.",
    ),
    "token_kind": Code(
        502,
        _PROVIDER,
        "The token's typ says that it is another kind of token (RFC 8725).",
    ),
    "token_algorithm": Code(
        502,
        _PROVIDER,
        "The token is signed with an algorithm that is not allowed: see PARJAR_ID_TOKEN_ALGS.",
    ),
    "token_key": Code(
        502,
        _PROVIDER,
        "No published key of the provider fits the token, also after the keys were fetched again.",
    ),
    "token_signature": Code(
        502,
        _PROVIDER,
        "The token's signature is not valid for the provider's keys.",
    ),
    "token_claim": Code(
        502,
        _PROVIDER,
        "A claim of the token is missing or has the wrong type. The log names it.",
    ),
    "token_issuer": Code(
        502,
        _PROVIDER,
        "The token is from another issuer.",
    ),
    "tenant_refused": Code(
        403,
        "Your organization is not admitted to this site.",
        "The person's tenant is not in PARJAR_TENANTS. The log names it.",
    ),
    "token_audience": Code(
        502,
        _PROVIDER,
        "The token is not for this client, or not only for this client.",
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
        "The token was issued long before this login. Is the clock of this machine right?",
    ),
    "token_nonce": Code(
        502,
        _PROVIDER,
        "The token's nonce is not the nonce of this login.",
    ),
    "token_hash": Code(
        502,
        _PROVIDER,
        "The token's at_hash does not fit the access token that came with it.",
    ),
    "token_subject": Code(
        502,
        _PROVIDER,
        "The token's sub is not a valid identifier.",
    ),
    "token_auth_time": Code(
        502,
        _PROVIDER,
        "max_age or an essential auth_time was requested, and auth_time is missing, too old, or "
        "in the future.",
    ),
    "token_acr": Code(
        502,
        _PROVIDER,
        "An essential acr was requested, and the token has another one, or none.",
    ),
    "token_session_expiry": Code(
        502,
        "The identity provider says that your session is over. Please sign in there again.",
        "The session_expiry of the ID token is in the past, so a session would end at once. "
        "Compare the clocks of both sides, and look how long the provider lets sessions last.",
    ),
    "userinfo_subject": Code(
        502,
        _PROVIDER,
        "The userinfo is about another subject than the ID token.",
    ),
    # log in, or log in as another person
    "login_required": Code(
        401,
        "Please log in to see this page.",
        "Nothing to do: the page requires a login.",
    ),
    "refresh_refused": Code(
        401,
        "Your login has ended. Please log in again.",
        "The provider refused the refresh token (invalid_grant): it was revoked, has expired, "
        "or was used twice. The stored tokens were deleted.",
    ),
    "session_expired": Code(
        401,
        "Your session has ended. Please log in again.",
        "The session_expiry of a renewed ID token is in the past: the provider ended the session.",
    ),
    "tokens_missing": Code(
        401,
        "Your login has ended. Please log in again.",
        "There is no valid token. Either it expired and there is no refresh token (is "
        "offline_access in PARJAR_SCOPES? some providers also need prompt=consent in "
        "PARJAR_AUTHORIZATION_PARAMS), or PARJAR_STORE lost it.",
    ),
    "step_up_required": Code(
        401,
        "Please confirm who you are to continue.",
        "Nothing to do: @step_up_required or an API requires a stronger or more recent login "
        "(RFC 9470).",
    ),
    "step_up_failed": Code(
        403,
        "This page needs a stronger login than the identity provider offered.",
        "A login that requested this acr or max_age has just been completed and did not help, or "
        "the provider answered unmet_authentication_requirements. Does it support the acr_values, "
        "and does the API check the same ones?",
    ),
    "other_person": Code(
        403,
        "Another person signed in at the identity provider. Nothing has changed on this site.",
        "The ID token is about another sub: not about the person who is logged in and should "
        "step up (see same_person of @step_up_required), or not about the one that claims "
        "requested. The tokens that came were revoked.",
    ),
    "other_provider": Code(
        403,
        "You are logged in, but this page requires a login at another identity provider.",
        "The guard of the view has provider=…, and this login was at another provider.",
    ),
    "insufficient_scope": Code(
        403,
        "You are not allowed to see this page.",
        "@scopes_required of the view names a scope that this login was not granted: see "
        "PARJAR_SCOPES.",
    ),
    "insufficient_authorization_details": Code(
        403,
        "You are logged in, but this login does not allow what this page does.",
        "The login was not granted authorization_details of the type that the view requires. Ask "
        "for them with LoginOptions(authorization_details=…) or PARJAR_AUTHORIZATION_PARAMS.",
    ),
    "insufficient_claims": Code(
        403,
        "You are not allowed to see this page.",
        "@claims_required of the view names a claim that this identity does not have, or that did "
        "not fit into the session cookie. The detail says which.",
    ),
    "cross_site": Code(
        403,
        "Another site tried to log you out. You are still logged in.",
        "A POST to the logout route did not come from a page of this site.",
    ),
    "session_too_large": Code(
        500,
        _SITE,
        "Browsers would drop the session cookie of this login, because it is larger than 4,096 "
        "bytes. Let the app put less into flask.session (for example in a receiver of logged_in), "
        "ask for fewer scopes, or keep sessions on the server with Flask-Session.",
    ),
    "tokens_lost": Code(
        500,
        _SITE,
        "A login was completed seconds ago, and its tokens are missing or have expired. Does "
        "the provider send expires_in 0, does the browser drop the token cookies, or does Redis "
        "evict keys?",
    ),
    # logout tokens
    "logout_token_missing": Code(
        400,
        "This URL is for identity providers only.",
        "The request has no logout_token, more than one, or one of the wrong size.",
    ),
    "logout_tokens_unsupported": Code(
        400,
        "This URL is for identity providers only.",
        "PARJAR_STORE cannot remember a logout token: use redis:// or, with a single process, "
        "memory.",
    ),
    # the store of PARJAR_STORE fails
    "store_unreachable": Code(
        503,
        "This site cannot reach its database at the moment. Please try again shortly.",
        "The store of PARJAR_STORE does not answer, or refuses. Is Redis running, and has it "
        "memory left?",
    ),
    "store_busy": Code(
        503,
        "This site is busy at the moment. Please try again shortly.",
        "Another request has been renewing the same tokens for longer than PARJAR_HTTP_TIMEOUT. "
        "It hangs, or its process died. Its lock expires by itself.",
    ),
    "store_unshared": Code(
        500,
        _SITE,
        "PARJAR_STORE is memory, which is not shared between processes, and this server runs "
        "several: use redis://, or one worker with threads.",
    ),
    "tokens_too_large": Code(
        500,
        _SITE,
        "The tokens are too large to be stored, even without the ID token. If PARJAR_STORE is "
        "cookie, use redis://, which has more room. If it is another, let the provider issue "
        "smaller tokens.",
    ),
    "client_assertion_missing": Code(
        503,
        _AWAY,
        "PARJAR_CLIENT_ASSERTION gave no client assertion: the file cannot be read, the function "
        "failed, or what it gave is no JWT. The log says which.",
    ),
    "signer_failed": Code(
        503,
        _AWAY,
        "The object in PARJAR_SIGNING_KEY or PARJAR_ASSERTION_KEY failed, or its signature is not "
        "one of its public_jwk and alg (for EC the raw R and S, not DER). The log says which.",
    ),
    # the provider or the network fails
    "provider_unreachable": Code(
        503,
        _AWAY,
        "There was no connection to the provider. Check the host name, the network, the proxy "
        "and the certificate.",
    ),
    "client_certificate_refused": Code(
        502,
        _SITE,
        "The provider's server ended the TLS handshake because of our certificate, or because "
        "there was none: compare PARJAR_CLIENT_CERT with what is registered at the provider, and "
        "put the certificates of the authorities between it and the root into the same file.",
    ),
    "client_certificate_ended": Code(
        502,
        _SITE,
        "The certificate in PARJAR_CLIENT_CERT is not valid any more: renew the file. It is read "
        "again at the next request.",
    ),
    "provider_timeout": Code(
        503,
        _AWAY,
        "The provider did not answer within PARJAR_HTTP_TIMEOUT seconds.",
    ),
    "provider_busy": Code(
        503,
        _AWAY,
        "The provider answered 429 or 503: it asks clients to wait.",
    ),
    "provider_failed": Code(
        502,
        _FAULTY,
        "The provider answered with an error status.",
    ),
    "provider_redirect": Code(
        502,
        _FAULTY,
        "The provider answered with a redirect. Redirects are never followed.",
    ),
    "provider_answer": Code(
        502,
        _FAULTY,
        "The provider's answer is not a JSON object, is too large, or breaks the rules of HTTP.",
    ),
    "push_answer": Code(
        502,
        _FAULTY,
        "The answer to the push has no usable request_uri and expires_in (RFC 9126).",
    ),
    "metadata_missing": Code(
        502,
        _SITE,
        "The provider has no metadata at the two URLs that belong to PARJAR_ISSUER. Compare it "
        "with the issuer that the provider shows: each character, and the name of the realm or "
        "tenant.",
    ),
    "metadata": Code(
        502,
        _SITE,
        "A member of the provider's metadata is missing or wrong. The log names it.",
    ),
    "metadata_issuer": Code(
        502,
        _SITE,
        "The issuer in the provider's metadata is not exactly PARJAR_ISSUER. Compare each "
        "character, above all the slash at the end. With PARJAR_TENANTS it must have {tenantid} in "
        "place of common or organizations.",
    ),
    "metadata_issuer_template": Code(
        502,
        _SITE,
        "The issuer in the provider's metadata is a template for many tenants. Set PARJAR_TENANTS "
        "to the tenants that may log in, or PARJAR_ISSUER to the issuer of your tenant.",
    ),
    "jwks": Code(
        502,
        _FAULTY,
        "The provider's key set cannot be read.",
    ),
}
