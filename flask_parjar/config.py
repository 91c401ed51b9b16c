"""PARJAR_* keys to frozen settings: every fault found, and told at once."""

from __future__ import annotations

import difflib
import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from .errors import ConfigError
from .protocol.algorithms import ASYMMETRIC_ALGORITHMS
from .protocol.authorization import RESERVED_PARAMETERS
from .protocol.client import CLIENT_AUTHS, RESPONSE_MODES_OF_THE_BROWSER, ClientConfig
from .protocol.encoding import is_number
from .protocol.keys import SigningKey, parse_shared_secret, parse_signing_keys
from .protocol.urls import check_endpoint, parse_return_path
from .stores import REDIS_SCHEMES

_Label = Callable[[str], str]

#: The name of the only provider, where PARJAR_PROVIDERS does not name them.
DEFAULT_PROVIDER = "default"

_MIN_HMAC_SECRET = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The configuration of one app, checked. Times are in seconds."""

    providers: Mapping[str, ClientConfig]
    named: bool = False
    url_prefix: str | None = None
    after_login: str = "/"
    after_logout: str = "/"
    store: str = field(default="session", repr=False)  # its address may hold a password
    session_lifetime: int = 8 * 3600
    idle_timeout: int | None = None
    transaction_lifetime: int = 600
    http_timeout: float = 5
    ca_bundle: str | None = None
    warnings: tuple[str, ...] = field(default=())


class Key(NamedTuple):
    """One configuration key: how its value is read, and whether each provider has its own."""

    parse: Callable[[Any], Any]
    per_provider: bool = True


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("write a non-empty string")
    return value.strip()


def _client_id(value: Any) -> str:
    # an environment variable that looks like a number arrives as one
    return _text(str(value) if isinstance(value, int) and not isinstance(value, bool) else value)


def _words(value: Any) -> tuple[str, ...]:
    words = value.split() if isinstance(value, str) else value
    if not isinstance(words, list | tuple) or not all(isinstance(w, str) and w for w in words):
        raise ValueError("write a list of strings, or one string with spaces between")
    return tuple(words)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("write True or False")
    return value


def _seconds(at_least: int, at_most: int) -> Callable[[Any], int]:
    def parse(value: Any) -> int:
        return math.ceil(_duration(value, at_least, at_most))

    return parse


def _timeout(value: Any) -> float:
    return _duration(value, 1, 60)


def _duration(value: Any, at_least: int, at_most: int) -> float:
    if not is_number(value) or not at_least <= value <= at_most:
        raise ValueError(f"write a number of seconds from {at_least} to {at_most}")
    return value


def _one_of(*choices: str) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        if value not in choices:
            raise ValueError(f"write one of {', '.join(choices)}")
        return str(value)

    return parse


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError("write a dict")
    return value


def _authorization_params(value: Any) -> Mapping[str, Any]:
    taken = sorted(RESERVED_PARAMETERS.intersection(_mapping(value)))
    if taken:
        raise ValueError(f"leave out {', '.join(taken)}: the library sets them itself")
    return dict(value)


def _path(value: Any) -> str:
    path = parse_return_path(value)
    if path is None:
        raise ValueError("write a path of this site that begins with one slash, such as /home")
    return path


def _url_prefix(value: Any) -> str:
    if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+/?", str(value)):
        raise ValueError("write a path of letters, digits and - . _ ~, such as /auth")
    return str(value).rstrip("/")


def _url(value: Any) -> str:
    return check_endpoint(value, allow_http=True)


def _ca_bundle(value: Any) -> str:
    if not os.path.exists(_text(value)):
        raise ValueError("there is no such file or folder")
    return str(value)


def _store(value: Any) -> str:
    if value in ("session", "sealed", "memory") or str(value).startswith(REDIS_SCHEMES):
        return str(value)
    raise ValueError(
        "write session, sealed, memory, or an address that begins with redis://, rediss:// or "
        "unix://"
    )


def _signing_keys(value: Any) -> tuple[SigningKey, ...]:
    """PEM, JWK or JWK Set as text or dict, or the path of a file with one."""
    if isinstance(value, Mapping):
        return parse_signing_keys(value)
    text = _text(os.fspath(value) if isinstance(value, Path) else value)
    if not text.startswith(("-----BEGIN", "{")):
        try:
            text = Path(text).read_text(encoding="utf-8")
        except (OSError, ValueError) as exc:
            raise ValueError(
                "it is no PEM, no JWK, and no file that can be read "
                f"({type(exc).__name__}); write one of the three"
            ) from exc
    return parse_signing_keys(text)


def _id_token_algs(value: Any) -> tuple[str, ...]:
    algs = _words(value)
    wrong = [alg for alg in algs if alg not in ASYMMETRIC_ALGORITHMS]
    if wrong or not algs:
        raise ValueError(f"choose among {', '.join(ASYMMETRIC_ALGORITHMS)}")
    return algs


def _scopes(value: Any) -> tuple[str, ...]:
    scopes = _words(value)
    if "openid" not in scopes:
        raise ValueError("add openid: without it the provider gives no ID token")
    return scopes


#: Every key that this version reads, without its prefix.
KEYS: Mapping[str, Key] = {
    "ISSUER": Key(_text),
    "CLIENT_ID": Key(_client_id),
    "CLIENT_SECRET": Key(_text),
    "CLIENT_AUTH": Key(_one_of(*CLIENT_AUTHS)),
    "ASSERTION_AUDIENCE": Key(_one_of("issuer", "endpoint")),
    "SIGNING_KEY": Key(_signing_keys),
    "ASSERTION_KEY": Key(_signing_keys),
    "SIGNING_ALG": Key(_one_of(*ASYMMETRIC_ALGORITHMS)),
    "ID_TOKEN_ALGS": Key(_id_token_algs),
    "SCOPES": Key(_scopes),
    "USERINFO": Key(_flag),
    "AUTHORIZATION_PARAMS": Key(_authorization_params),
    "RESPONSE_MODE": Key(_one_of(*RESPONSE_MODES_OF_THE_BROWSER)),
    "REDIRECT_URI": Key(_url),
    "POST_LOGOUT_REDIRECT_URI": Key(_url),
    "METADATA": Key(_mapping),
    "TRUSTED_AUDIENCES": Key(_words),
    "CLOCK_SKEW": Key(_seconds(0, 300)),
    "INSECURE_HTTP": Key(_flag),
    "INSECURE_UNSIGNED_REQUEST": Key(_flag),
    "INSECURE_UNPUSHED_REQUEST": Key(_flag),
    "PROVIDERS": Key(_mapping, per_provider=False),
    "URL_PREFIX": Key(_url_prefix, per_provider=False),
    "AFTER_LOGIN": Key(_path, per_provider=False),
    "AFTER_LOGOUT": Key(_path, per_provider=False),
    "STORE": Key(_store, per_provider=False),
    "SESSION_LIFETIME": Key(_seconds(60, 366 * 86400), per_provider=False),
    "IDLE_TIMEOUT": Key(_seconds(60, 366 * 86400), per_provider=False),
    "TRANSACTION_LIFETIME": Key(_seconds(60, 3600), per_provider=False),
    "HTTP_TIMEOUT": Key(_timeout, per_provider=False),
    "CA_BUNDLE": Key(_ca_bundle, per_provider=False),
}

#: Keys of the contract that this version cannot honour: refused, because ignoring one would leave
#: a site weaker than its configuration says.
NOT_YET: Mapping[str, str] = {
    "REQUEST_ENCRYPTION_ALG": "encrypted request objects",
    "REQUEST_ENCRYPTION_ENC": "encrypted request objects",
    "DPOP": "DPoP",
    "DPOP_AT_PAR": "DPoP",
    "CLIENT_CERT": "mutual TLS",
    "CLIENT_CERT_KEY": "mutual TLS",
    "PROFILE": "FAPI profiles",
}

_FIELD_OF_KEY = {"SIGNING_KEY": "signing_keys", "ASSERTION_KEY": "assertion_keys"}


def read_settings(config: Mapping[str, Any], *, secret_key: object) -> Settings:
    """Read and check the configuration of an app.

    :param config: ``app.config``.
    :param secret_key: ``app.secret_key``, which signs ``state``.
    :raises ConfigError: with every fault that was found.
    """
    faults: list[str] = []
    given = {
        name.removeprefix("PARJAR_"): value
        for name, value in config.items()
        if name.startswith("PARJAR_") and value is not None
    }
    values = _parse_keys(given, "PARJAR_{}".format, faults)
    if not secret_key:
        faults.append("SECRET_KEY is not set: write 32 or more random bytes; it signs the session")
    fallbacks = config.get("SECRET_KEY_FALLBACKS") or []
    if isinstance(fallbacks, str | bytes):
        faults.append("SECRET_KEY_FALLBACKS is one string: write a list of former keys")
    elif not all(fallbacks):
        faults.append("SECRET_KEY_FALLBACKS holds an empty key: leave it out")
    app_wide = {
        _field(key): values.pop(key)
        for key in list(values)
        if not KEYS[key].per_provider and key != "PROVIDERS"
    }
    named = "PROVIDERS" in values
    sections = values.pop("PROVIDERS", None)
    providers = {} if named and sections is None else _read_providers(sections, values, faults)
    if faults:
        raise ConfigError(faults)
    return Settings(
        providers=providers,
        named=named,
        warnings=tuple(_insecure_choices(providers)),
        **app_wide,
    )


def _field(key: str) -> str:
    return _FIELD_OF_KEY.get(key, key.lower())


def _parse_keys(given: Mapping[str, Any], label: _Label, faults: list[str]) -> dict[str, Any]:
    """Read what is known; say of the rest what was probably meant.

    :param label: how the operator writes a key here.
    """
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name in NOT_YET:
            if value is not False:
                faults.append(f"{label(name)}: this version has no {NOT_YET[name]}; remove the key")
        elif name not in KEYS:
            close = difflib.get_close_matches(name, [*KEYS, *NOT_YET], n=1)
            hint = f": did you mean {label(close[0])}?" if close else ""
            faults.append(f"{label(name)} is not a key of Flask-ParJar{hint}")
        else:
            try:
                values[name] = KEYS[name].parse(value)
            except ValueError as exc:
                values[name] = None  # given, but not usable: nobody need say that it is missing
                faults.append(f"{label(name)}{_found(name, value)}: {exc}")
    return values


def _found(name: str, value: Any) -> str:
    """Show a faulty value, unless it could be a secret."""
    if name in ("CLIENT_SECRET", "SIGNING_KEY", "ASSERTION_KEY", "PROVIDERS", "STORE"):
        return ""
    return f" is {value!r:.80}"


def _read_providers(
    sections: Mapping[str, Any] | None, shared: Mapping[str, Any], faults: list[str]
) -> dict[str, ClientConfig]:
    if sections is None:
        client = _read_client(DEFAULT_PROVIDER, shared, "PARJAR_{}".format, faults)
        return {DEFAULT_PROVIDER: client} if client else {}
    providers: dict[str, ClientConfig] = {}
    if not sections:
        faults.append("PARJAR_PROVIDERS is empty: name a provider, or remove the key")
    if "REDIRECT_URI" in shared and len(sections) > 1:
        faults.append(
            "PARJAR_REDIRECT_URI cannot serve several providers, each has a callback of its own: "
            "write redirect_uri in each section of PARJAR_PROVIDERS"
        )
    for name, section in sections.items():
        where = f"PARJAR_PROVIDERS[{name!r}]"
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,40}", str(name)):
            faults.append(f"{where}: a name is made of letters, digits, - and _ (it is in URLs)")
        elif not isinstance(section, Mapping):
            faults.append(f"{where}: write a dict")
        else:
            client = _read_section(name, section, shared, where, faults)
            if client:
                providers[name] = client
    return providers


def _read_section(
    name: str, section: Mapping[str, Any], shared: Mapping[str, Any], where: str, faults: list[str]
) -> ClientConfig | None:
    """Read one provider's keys, in lower case and without the prefix, over those of the app."""

    def label(key: str) -> str:
        return f"{where}[{key.lower()!r}]"

    given: dict[str, Any] = {}
    for key, value in section.items():
        upper = str(key).upper()
        if upper in KEYS and not KEYS[upper].per_provider:
            faults.append(f"{label(upper)} belongs to the whole app: write PARJAR_{upper}")
        elif value is not None:
            given[upper] = value
    own = _parse_keys(given, label, faults)
    return _read_client(name, {**shared, **own}, label, faults)


def _read_client(
    name: str, values: Mapping[str, Any], label: _Label, faults: list[str]
) -> ClientConfig | None:
    found_before = len(faults)
    for key in ("ISSUER", "CLIENT_ID"):
        if key not in values:
            faults.append(f"{label(key)} is required")
    if values.get("ISSUER"):
        try:
            check_endpoint(values["ISSUER"], allow_http=values.get("INSECURE_HTTP", False))
            if "?" in values["ISSUER"]:
                raise ValueError("an issuer has no query")
        except ValueError as exc:
            faults.append(f"{label('ISSUER')} is {values['ISSUER']!r:.200}: {exc}")
    faults.extend(f"{label(key)} {fault}" for key, fault in _faults_between_keys(values))
    if len(faults) > found_before:
        return None
    fields = {_field(key): value for key, value in values.items()}
    if values.get("CLIENT_AUTH") == "client_secret_jwt":
        try:
            fields["secret_key"] = parse_shared_secret(values["CLIENT_SECRET"])
        except ValueError:
            faults.append(f"{label('CLIENT_SECRET')} is the text of a key: write the shared secret")
            return None
    return ClientConfig(name=name, **fields)


def _faults_between_keys(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What is wrong with keys that are right one by one."""
    faults: list[tuple[str, str]] = []
    auth, secret = values.get("CLIENT_AUTH"), values.get("CLIENT_SECRET")
    signing = values.get("SIGNING_KEY")
    needs_key = auth == "private_key_jwt" or (auth is None and secret is None)
    if "SIGNING_KEY" not in values and not values.get("INSECURE_UNSIGNED_REQUEST"):
        faults.append(
            ("SIGNING_KEY", "is required: a private key as PEM or JWK, or the path of one")
        )
    elif "SIGNING_KEY" not in values and needs_key and "ASSERTION_KEY" not in values:
        faults.append(("SIGNING_KEY", "is required by private_key_jwt, or write a CLIENT_SECRET"))
    if str(auth).startswith("client_secret_") and "CLIENT_SECRET" not in values:
        faults.append(("CLIENT_SECRET", f"is required by {auth}"))
    if auth == "client_secret_jwt" and secret and len(secret.encode()) < _MIN_HMAC_SECRET:
        faults.append(
            ("CLIENT_SECRET", f"needs {_MIN_HMAC_SECRET} bytes or more for client_secret_jwt")
        )
    alg = values.get("SIGNING_ALG")
    if alg is not None and signing and alg not in signing[0].algorithms:
        faults.append(
            (
                "SIGNING_ALG",
                f"is {alg}: the signing key can only " + ", ".join(signing[0].algorithms),
            )
        )
    return faults


def _insecure_choices(providers: Mapping[str, ClientConfig]) -> list[str]:
    return [
        f"PARJAR_{key} is on for provider {client.name!r}"
        for client in providers.values()
        for key in KEYS
        if key.startswith("INSECURE_") and getattr(client, key.lower())
    ]
