"""A site for which providers encrypt: its keys, its configuration, and what it publishes."""

from __future__ import annotations

from typing import Any

from joserfc.jwk import ECKey, RSAKey

from tests.interop.client_site import new_site

#: Two keys of the site, by the beginning of the algorithms that they are for.
DECRYPTION_KEYS = {
    "ECDH": ECKey.generate_key("P-256", {"kid": "site-ec-enc"}).as_dict(private=True),
    "RSA-": RSAKey.generate_key(2048, {"kid": "site-rsa-enc"}).as_dict(private=True),
}
#: Each algorithm with one ``enc``: both kinds of content encryption.
ALGORITHMS = {
    "RSA-OAEP-256": "A256GCM",
    "ECDH-ES+A256KW": "A256CBC-HS512",
    "ECDH-ES": "A128CBC-HS256",
}


def encryption(alg: str, *, userinfo: bool = False, requests: bool = False) -> dict[str, Any]:
    """Return the settings of a site that gets encrypted ID tokens, and perhaps more."""
    registered = f"{alg} {ALGORITHMS[alg]}"
    config: dict[str, Any] = {
        "PARJAR_ENCRYPTION_KEY": DECRYPTION_KEYS[alg[:4]],
        "PARJAR_ID_TOKEN_ENCRYPTION": registered,
    }
    if userinfo:
        config |= {"PARJAR_USERINFO": True, "PARJAR_USERINFO_ENCRYPTION": registered}
    if requests:
        config["PARJAR_REQUEST_ENCRYPTION_ALG"] = alg
        config["PARJAR_REQUEST_ENCRYPTION_ENC"] = ALGORITHMS[alg]
    return config


def published_keys(config: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the public keys of a site, as it publishes them."""
    known = {"PARJAR_ISSUER": "http://127.0.0.1/never-asked", "PARJAR_CLIENT_ID": "site"}
    keys: list[dict[str, Any]] = (
        new_site({**config, **known}).get("/.well-known/jwks.json").get_json()["keys"]
    )
    return keys
