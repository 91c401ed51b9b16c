"""The PARJAR_* keys, a row for each: its name, how its value is read, and whom it belongs to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ..protocol.algorithms import ASYMMETRIC_ALGORITHMS
from ..protocol.client import CLIENT_AUTHS, RESPONSE_MODES_OF_THE_BROWSER
from ..protocol.client_auth import ASSERTION_TYPS
from ..protocol.jwe import CONTENT_ALGORITHMS, KEY_ALGORITHMS, parse_encryption
from ..protocol.request_level import REQUEST_LEVELS
from . import values
from .profiles import RULES


class Key(NamedTuple):
    """One configuration key.

    :param parse: reads its value, or raises ValueError.
    :param per_provider: whether each provider can have its own value.
    """

    parse: Callable[[Any], Any]
    per_provider: bool = True


#: Every key that this version reads, without its prefix.
KEYS: Mapping[str, Key] = {
    "ISSUER": Key(values.read_text),
    "CLIENT_ID": Key(values.read_client_id),
    "LABEL": Key(values.read_text),
    "TENANTS": Key(values.read_tenants),
    "CLIENT_SECRET": Key(values.read_text),
    "CLIENT_AUTH": Key(values.read_one_of(*CLIENT_AUTHS)),
    "PROFILE": Key(values.read_one_of(*RULES)),
    "REQUEST": Key(values.read_one_of(*REQUEST_LEVELS)),
    "REQUEST_AUDIENCE": Key(values.read_audience("issuer", "authorization_endpoint")),
    "REQUEST_LIFETIME": Key(values.read_seconds(60, 3600)),
    "HTTP_HEADERS": Key(values.read_http_headers),
    "REQUEST_BESIDE": Key(values.read_request_beside),
    "PKCE": Key(values.read_flag),
    "ASSERTION_AUDIENCE": Key(values.read_audience("issuer", "endpoint", "token_endpoint")),
    "ASSERTION_TYP": Key(values.read_one_of(*ASSERTION_TYPS)),
    "CLIENT_ASSERTION": Key(values.read_client_assertion),
    "ASSERTION_CLAIMS": Key(values.read_assertion_claims),
    "SIGNING_KEY": Key(values.read_signing_keys),
    "ASSERTION_KEY": Key(values.read_signing_keys),
    "KEY_HEADERS": Key(values.read_key_headers),
    "SIGNING_ALG": Key(values.read_one_of(*ASYMMETRIC_ALGORITHMS)),
    "ID_TOKEN_ALGS": Key(values.read_id_token_algs),
    "ENCRYPTION_KEY": Key(values.read_encryption_keys),
    "ID_TOKEN_ENCRYPTION": Key(parse_encryption),
    "USERINFO_ENCRYPTION": Key(parse_encryption),
    "RESPONSE_ENCRYPTION": Key(parse_encryption),
    "REQUEST_ENCRYPTION_ALG": Key(values.read_one_of(*KEY_ALGORITHMS)),
    "REQUEST_ENCRYPTION_ENC": Key(values.read_one_of(*CONTENT_ALGORITHMS)),
    "SCOPES": Key(values.read_scopes),
    "USERINFO": Key(values.read_flag),
    "AUTHORIZATION_PARAMS": Key(values.read_authorization_params),
    "RESPONSE_MODE": Key(values.read_one_of(*RESPONSE_MODES_OF_THE_BROWSER)),
    "REDIRECT_URI": Key(values.read_url),
    "POST_LOGOUT_REDIRECT_URI": Key(values.read_url),
    "PROVIDER_LOGOUT": Key(values.read_flag),
    "DPOP": Key(values.read_flag),
    "DPOP_AT_PAR": Key(values.read_flag),
    "CLIENT_CERT": Key(values.read_certificate),
    "CLIENT_CERT_KEY": Key(values.read_certificate_key),
    "BOUND_TOKENS": Key(values.read_flag),
    "END_SESSION_URL": Key(values.read_text),
    "METADATA": Key(values.read_mapping),
    "TRUSTED_AUDIENCES": Key(values.read_words),
    "CLOCK_SKEW": Key(values.read_seconds(0, 300)),
    "INSECURE_HTTP": Key(values.read_flag),
    "PROVIDERS": Key(values.read_mapping, per_provider=False),
    "URL_PREFIX": Key(values.read_url_prefix, per_provider=False),
    "AFTER_LOGIN": Key(values.read_path, per_provider=False),
    "AFTER_LOGOUT": Key(values.read_path, per_provider=False),
    "STORE": Key(values.read_store, per_provider=False),
    "SESSION_LIFETIME": Key(values.read_seconds(60, 366 * 86400), per_provider=False),
    "IDLE_TIMEOUT": Key(values.read_seconds(60, 366 * 86400), per_provider=False),
    "TRANSACTION_LIFETIME": Key(values.read_seconds(60, 3600), per_provider=False),
    "HTTP_TIMEOUT": Key(values.read_timeout, per_provider=False),
    "CA_BUNDLE": Key(values.read_ca_bundle, per_provider=False),
}

#: Keys of versions before the first release, and the request level that stands in their place.
REQUEST_LEVEL_OF_FORMER_KEY = {
    "INSECURE_UNSIGNED_REQUEST": "pushed",
    "INSECURE_UNPUSHED_REQUEST": "signed",
}

#: Keys whose faulty values are not shown.
MAY_BE_SECRET = (
    "CLIENT_SECRET",
    "SIGNING_KEY",
    "ASSERTION_KEY",
    "ENCRYPTION_KEY",
    "PROVIDERS",
    "STORE",
    "HTTP_HEADERS",
    "CLIENT_ASSERTION",
    "CLIENT_CERT",
    "CLIENT_CERT_KEY",
)

#: The fields of `ClientConfig` that have another name than their key.
FIELD_OF_KEY = {
    "SIGNING_KEY": "signing_keys",
    "ASSERTION_KEY": "assertion_keys",
    "ENCRYPTION_KEY": "encryption_keys",
}
