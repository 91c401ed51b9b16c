"""Read the PARJAR_* keys into frozen settings; all faults are reported at once."""

from __future__ import annotations

import difflib
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import unquote

from .errors import ConfigError, ProviderUnavailable
from .protocol.algorithms import ASYMMETRIC_ALGORITHMS
from .protocol.authorization import check_params
from .protocol.client import CLIENT_AUTHS, RESPONSE_MODES_OF_THE_BROWSER, ClientConfig
from .protocol.client_auth import ASSERTION_TYPS, check_assertion_claims
from .protocol.encoding import is_number
from .protocol.jwe import (
    CONTENT_ALGORITHMS,
    KEY_ALGORITHMS,
    DecryptionKey,
    parse_decryption_keys,
    parse_encryption,
)
from .protocol.keys import (
    KEY_HEADERS,
    PublicKey,
    Signer,
    SigningKey,
    is_same_key,
    parse_shared_secret,
    parse_signer,
    parse_signing_keys,
)
from .protocol.metadata import ProviderMetadata
from .protocol.outbound import check_headers
from .protocol.request_level import DEFAULT_LEVEL, REQUEST_LEVELS
from .protocol.urls import check_endpoint, parse_return_path
from .stores import REDIS_SCHEMES

_Label = Callable[[str], str]
K = TypeVar("K")

#: The name of the only provider if PARJAR_PROVIDERS is not set.
DEFAULT_PROVIDER = "default"

_MIN_HMAC_SECRET = 32

_KEY_FILES = (".pem", ".key", ".p8", ".json", ".jwk", ".jwks")
#: What PARJAR_REQUEST_BESIDE may not name.
_NEVER_BESIDE = frozenset(
    "response_type client_id request request_uri client_secret client_assertion "
    "client_assertion_type".split()
)

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[\x21-\x7e]+")
_METADATA_PATH = re.compile(r"/\.well-known/(openid-configuration|oauth-authorization-server)")

#: Flask reads an environment variable as JSON where it can, so digits become a number.
_WRITE_TEXT = "write text; in the environment with double quotes inside of single quotes: '\"…\"'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The configuration of one app, checked. Times are in seconds."""

    providers: Mapping[str, ClientConfig]
    named: bool = False
    url_prefix: str | None = None
    after_login: str = "/"
    after_logout: str | None = None
    store: str | None = field(default=None, repr=False)  # its address may have a password
    session_lifetime: int = 8 * 3600
    idle_timeout: int | None = None
    transaction_lifetime: int = 600
    http_timeout: float = 5
    ca_bundle: str | None = None
    warnings: tuple[str, ...] = field(default=())


class Key(NamedTuple):
    """One configuration key.

    :param parse: reads its value, or raises ValueError.
    :param per_provider: whether each provider can have its own value.
    """

    parse: Callable[[Any], Any]
    per_provider: bool = True


def _text(value: Any) -> str:
    if isinstance(value, int | float):
        raise ValueError(f"it is of the type {type(value).__name__}: {_WRITE_TEXT}")
    if not isinstance(value, str) or not value.strip():
        raise ValueError("write a non-empty string")
    return value.strip()


def _client_id(value: Any) -> str:
    # Flask reads an environment variable that looks like a number as a number.
    return _text(str(value) if isinstance(value, int) and not isinstance(value, bool) else value)


def _words(value: Any) -> tuple[str, ...]:
    words = value.split() if isinstance(value, str) else value
    if not isinstance(words, list | tuple) or not all(isinstance(w, str) and w for w in words):
        raise ValueError("write a list of strings, or one string with spaces between")
    return tuple(words)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("write True or False, and in the environment true or false")
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


def _request_beside(value: Any) -> tuple[str, ...]:
    names = _words(value)
    if wrong := sorted(_NEVER_BESIDE.intersection(names)):
        # A response_type beside a pushed request object makes one server (AT Protocol's) read the
        # parameters beside it and drop the object. The others are set by the library.
        raise ValueError(f"leave out {', '.join(wrong)}")
    return names


def _audience(*choices: str) -> Callable[[Any], str]:
    """Read one of the choices, or an ``aud`` itself.

    An ``aud`` may be any string (RFC 7519 section 4.1.3). Here it has a colon, as every URI has:
    otherwise a misspelt choice would be sent to the provider.
    """

    def parse(value: Any) -> str:
        if value not in choices and (not isinstance(value, str) or not _URI.fullmatch(value)):
            raise ValueError(f"write {', '.join(choices)}, or the audience itself as a URI")
        return str(value)

    return parse


def _mapping(value: Any) -> Mapping[str, Any]:
    if isinstance(value, str):
        raise ValueError('it is text: write a dict, and in the environment JSON: {"name": "value"}')
    if not isinstance(value, Mapping):
        raise ValueError("write a dict")
    return value


def _authorization_params(value: Any) -> Mapping[str, Any]:
    check_params(_mapping(value))
    return dict(value)


def _assertion_claims(value: Any) -> Callable[[], Mapping[str, Any]]:
    if callable(value):
        ask: Callable[[], Mapping[str, Any]] = value
        return ask
    claims = dict(_mapping(value))
    check_assertion_claims(claims)
    return lambda: claims


def _client_assertion(value: Any) -> Callable[[], str]:
    """Read the path of a file, which is read again for each assertion, or a function."""
    if callable(value):
        ask: Callable[[], str] = value
        return ask
    path = Path(_text(os.fspath(value) if isinstance(value, Path) else value))
    try:
        path.read_text(encoding="utf-8")
    except (OSError, ValueError) as exc:
        raise ValueError(
            f"it is no file that can be read ({type(exc).__name__}): write the path of a file with "
            "the assertion, or a function that returns one"
        ) from exc
    return lambda: path.read_text(encoding="utf-8")


def _http_headers(value: Any) -> Callable[[], Mapping[str, str]]:
    if callable(value):
        ask: Callable[[], Mapping[str, str]] = value
        return ask
    headers = dict(_mapping(value))
    check_headers(headers)
    return lambda: headers


def _key_headers(value: Any) -> tuple[str, ...]:
    names = _words(value)
    if not names or not set(names).issubset(KEY_HEADERS):
        raise ValueError(f"choose among {', '.join(KEY_HEADERS)}")
    return names


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
    if value in ("cookie", "memory") or str(value).startswith(REDIS_SCHEMES):
        return str(value)
    # The value is not in the message: an address may have a password.
    found = {
        "session": "it is session: leave the key out, then no tokens are kept",
        "sealed": "it is sealed: write cookie, for encrypted cookies",
    }
    raise ValueError(
        found.get(str(value))
        or "write cookie, memory, or an address that begins with redis://, rediss:// or unix://; "
        "leave the key out to keep no tokens"
    )


def _signing_keys(value: Any) -> tuple[SigningKey, ...]:
    """Read keys that sign, or a `Signer`."""
    if isinstance(value, Signer):
        return parse_signer(value)
    return _read_keys(value, parse_signing_keys)


def _encryption_keys(value: Any) -> tuple[DecryptionKey, ...]:
    """Read one key, or a list of them, newest first."""
    several = value if isinstance(value, list | tuple) else [value]
    keys = tuple(key for each in several for key in _read_keys(each, parse_decryption_keys))
    if not keys:
        raise ValueError("write a private key as PEM or JWK, or the path of one")
    if len({key.kid for key in keys}) != len(keys):
        raise ValueError("two keys have the same kid: give each its own")
    return keys


def _read_keys(value: Any, parse: Callable[[str | Mapping[str, Any]], K]) -> K:
    """Read a PEM, JWK or JWK Set as text or dict, or the path of a file with one."""
    if isinstance(value, Mapping):
        return parse(value)
    text = _text(os.fspath(value) if isinstance(value, Path) else value)
    if text.startswith(("-----BEGIN", "{")):
        return parse(text)
    try:
        content = Path(text).read_text(encoding="utf-8")
    except UnicodeDecodeError as exc:
        raise ValueError(
            f"the file {text} is not UTF-8 (PowerShell writes UTF-16 with >): save it as UTF-8"
        ) from exc
    except (OSError, ValueError) as exc:
        raise ValueError(
            f"it is no PEM, no JWK, and no file that can be read ({type(exc).__name__}): "
            + _where_a_file_was_expected(text)
        ) from exc
    try:
        return parse(content)
    except ValueError as exc:
        raise ValueError(f"the file {text}: {exc}") from exc


def _where_a_file_was_expected(text: str) -> str:
    """Name a file that is not there, unless its name could be a key without its first line."""
    path = Path(text)
    in_a_folder = path.parent not in (Path(), Path(path.anchor)) and os.path.isdir(path.parent)
    name = text if path.suffix in _KEY_FILES or in_a_folder else "a path that could be a secret"
    return name if path.is_absolute() else f"{name}, in the folder {Path.cwd()}"


def _id_token_algs(value: Any) -> tuple[str, ...]:
    algs = _words(value)
    wrong = [alg for alg in algs if alg not in ASYMMETRIC_ALGORITHMS]
    if wrong or not algs:
        raise ValueError(f"choose among {', '.join(ASYMMETRIC_ALGORITHMS)}")
    return algs


def _scopes(value: Any) -> tuple[str, ...]:
    scopes = _words(value)
    if "openid" in scopes:
        return scopes
    if any("openid" in re.findall(r"\w+", each) for each in scopes):
        raise ValueError("write the scopes with spaces between, and nothing else: openid profile")
    raise ValueError("add openid: without it the provider gives no ID token")


#: Every key that this version reads, without its prefix.
KEYS: Mapping[str, Key] = {
    "ISSUER": Key(_text),
    "CLIENT_ID": Key(_client_id),
    "CLIENT_SECRET": Key(_text),
    "CLIENT_AUTH": Key(_one_of(*CLIENT_AUTHS)),
    "REQUEST": Key(_one_of(*REQUEST_LEVELS)),
    "REQUEST_AUDIENCE": Key(_audience("issuer", "authorization_endpoint")),
    "REQUEST_LIFETIME": Key(_seconds(60, 3600)),
    "HTTP_HEADERS": Key(_http_headers),
    "REQUEST_BESIDE": Key(_request_beside),
    "ASSERTION_AUDIENCE": Key(_audience("issuer", "endpoint", "token_endpoint")),
    "ASSERTION_TYP": Key(_one_of(*ASSERTION_TYPS)),
    "CLIENT_ASSERTION": Key(_client_assertion),
    "ASSERTION_CLAIMS": Key(_assertion_claims),
    "SIGNING_KEY": Key(_signing_keys),
    "ASSERTION_KEY": Key(_signing_keys),
    "KEY_HEADERS": Key(_key_headers),
    "SIGNING_ALG": Key(_one_of(*ASYMMETRIC_ALGORITHMS)),
    "ID_TOKEN_ALGS": Key(_id_token_algs),
    "ENCRYPTION_KEY": Key(_encryption_keys),
    "ID_TOKEN_ENCRYPTION": Key(parse_encryption),
    "USERINFO_ENCRYPTION": Key(parse_encryption),
    "REQUEST_ENCRYPTION_ALG": Key(_one_of(*KEY_ALGORITHMS)),
    "REQUEST_ENCRYPTION_ENC": Key(_one_of(*CONTENT_ALGORITHMS)),
    "SCOPES": Key(_scopes),
    "USERINFO": Key(_flag),
    "AUTHORIZATION_PARAMS": Key(_authorization_params),
    "RESPONSE_MODE": Key(_one_of(*RESPONSE_MODES_OF_THE_BROWSER)),
    "REDIRECT_URI": Key(_url),
    "POST_LOGOUT_REDIRECT_URI": Key(_url),
    "PROVIDER_LOGOUT": Key(_flag),
    "DPOP": Key(_flag),
    "DPOP_AT_PAR": Key(_flag),
    "END_SESSION_URL": Key(_text),
    "METADATA": Key(_mapping),
    "TRUSTED_AUDIENCES": Key(_words),
    "CLOCK_SKEW": Key(_seconds(0, 300)),
    "INSECURE_HTTP": Key(_flag),
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

#: Keys of planned features. They are refused, because ignoring one would leave a site weaker than
#: its configuration says.
NOT_YET: Mapping[str, str] = {
    "CLIENT_CERT": "mutual TLS",
    "CLIENT_CERT_KEY": "mutual TLS",
    "PROFILE": "FAPI profiles",
}

#: Keys of versions before the first release, and the request level that stands in their place.
_REQUEST_LEVEL_OF_FORMER_KEY = {
    "INSECURE_UNSIGNED_REQUEST": "pushed",
    "INSECURE_UNPUSHED_REQUEST": "signed",
}

#: What the request levels that bring requests through the browser do not protect.
_WARNING_OF_LEVEL: Mapping[str, str] = {
    "signed": "PARJAR_REQUEST of provider {name!r} is signed: no one can change a request or make "
    "one up, but the browser carries it in a URL, where extensions, histories and logs can read it",
    "plain": "PARJAR_REQUEST of provider {name!r} is plain: REQUESTS ARE NOT PROTECTED. The "
    "browser carries each one in a URL, unsigned: it can be read, changed and made up. Only PKCE, "
    "state and nonce protect the login. If the provider can do more, write pushed+signed, pushed "
    "or signed",
}

#: Keys whose faulty values are not shown.
_MAY_BE_SECRET = (
    "CLIENT_SECRET",
    "SIGNING_KEY",
    "ASSERTION_KEY",
    "ENCRYPTION_KEY",
    "PROVIDERS",
    "STORE",
    "HTTP_HEADERS",
    "CLIENT_ASSERTION",
)

_FIELD_OF_KEY = {
    "SIGNING_KEY": "signing_keys",
    "ASSERTION_KEY": "assertion_keys",
    "ENCRYPTION_KEY": "encryption_keys",
}


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
    faults.extend(_faults_of_secret_keys(secret_key, config.get("SECRET_KEY_FALLBACKS") or []))
    app_wide = {
        _field(key): values.pop(key)
        for key in list(values)
        if not KEYS[key].per_provider and key != "PROVIDERS"
    }
    faults.extend(_faults_of_pages(app_wide))
    named = "PROVIDERS" in values
    sections = values.pop("PROVIDERS", None)
    providers = {} if named and sections is None else _read_providers(sections, values, faults)
    if not faults:  # else a client may be without its keys
        faults.extend(_faults_of_kids(providers))
        faults.extend(_faults_of_uses(providers))
        faults.extend(_faults_of_audiences(providers))
    if faults:
        raise ConfigError(faults)
    return Settings(
        providers=providers,
        named=named,
        warnings=tuple(_insecure_choices(providers)),
        **app_wide,
    )


def _faults_of_secret_keys(secret_key: object, fallbacks: object) -> list[str]:
    """The faults of Flask's own keys. Those that are not text fail only at the first login.

    No value is shown, and none is repaired: 8 as bytes would be eight zero bytes.
    """
    faults: list[str] = []
    if secret_key is not None and not isinstance(secret_key, str | bytes):
        faults.append(f"SECRET_KEY is of the type {type(secret_key).__name__}: {_WRITE_TEXT}")
    elif not secret_key:
        faults.append("SECRET_KEY is not set: write 32 or more random bytes; it signs the session")
    if not isinstance(fallbacks, list | tuple):
        found = "one string" if isinstance(fallbacks, str | bytes) else type(fallbacks).__name__
        faults.append(f"SECRET_KEY_FALLBACKS is {found}: write a list of former keys")
    elif not all(isinstance(each, str | bytes) for each in fallbacks):
        faults.append(f"SECRET_KEY_FALLBACKS holds a key that is no text: {_WRITE_TEXT}")
    elif not all(fallbacks):
        faults.append("SECRET_KEY_FALLBACKS holds an empty key: leave it out")
    return faults


def _faults_of_pages(app_wide: Mapping[str, Any]) -> Iterator[str]:
    """The faults of pages that the browser is redirected to: routes of ours redirect it again."""
    prefix = app_wide.get("url_prefix") or ""
    for key in ("after_login", "after_logout"):
        page = app_wide.get(key) or ""
        path = unquote(re.split("[?#]", page, maxsplit=1)[0])
        for route in ("login", "callback", "logout"):
            if f"{path}/".startswith(f"{prefix}/{route}/"):
                yield (
                    f"PARJAR_{key.upper()} is {page!r}, a route of Flask-ParJar, which would "
                    "redirect the browser without end: write a page of your site"
                )


def _field(key: str) -> str:
    return _FIELD_OF_KEY.get(key, key.lower())


def _parse_keys(given: Mapping[str, Any], label: _Label, faults: list[str]) -> dict[str, Any]:
    """Read the known keys, and report each unknown one.

    :param label: gives the name of a key as the operator writes it here.
    """
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name in NOT_YET:
            if value is not False:
                faults.append(f"{label(name)}: this version has no {NOT_YET[name]}; remove the key")
        elif name not in KEYS:
            faults.append(f"{label(name)} is not a key of Flask-ParJar{_hint(name, label)}")
        else:
            try:
                values[name] = KEYS[name].parse(value)
            except ValueError as exc:
                values[name] = None  # given but not valid, so it is not reported as missing too
                faults.append(f"{label(name)}{_found(name, value)}: {exc}")
    return values


def _hint(name: str, label: _Label) -> str:
    """What to write in place of an unknown key."""
    if name in _REQUEST_LEVEL_OF_FORMER_KEY:
        return (
            f": PARJAR_REQUEST has taken its place: write {label('REQUEST')} = "
            f"{_REQUEST_LEVEL_OF_FORMER_KEY[name]!r}, or 'plain' for requests that are neither "
            "pushed nor signed"
        )
    close = difflib.get_close_matches(name, [*KEYS, *NOT_YET], n=1)
    return f": did you mean {label(close[0])}?" if close else ""


def _found(name: str, value: Any) -> str:
    """Show a faulty value, unless it could be a secret."""
    if name in _MAY_BE_SECRET:
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
    for key in ("ISSUER", "END_SESSION_URL"):
        if values.get(key) and (fault := _fault_of_url(key, values)):
            faults.append(f"{label(key)} is {values[key]!r:.200}: {fault}")
    faults.extend(f"{label(key)} {fault}" for key, fault in _faults_between_keys(values))
    faults.extend(f"{label(key)} {fault}" for key, fault in _faults_beside_assertion(values))
    if len(faults) == found_before and values.get("METADATA") is not None:
        faults.extend(f"{label('METADATA')}: {fault}" for fault in _faults_of_metadata(values))
    if len(faults) > found_before:
        return None
    fields = {_field(key): value for key, value in values.items()}
    if values.get("CLIENT_AUTH") == "client_secret_jwt":
        try:
            fields["secret_key"] = parse_shared_secret(values["CLIENT_SECRET"])
        except ValueError:
            faults.append(f"{label('CLIENT_SECRET')} is the text of a key: write the shared secret")
            return None
    try:
        fields.update(_keys_with_headers(fields))
    except ValueError as exc:
        faults.append(f"{label('KEY_HEADERS')}: {exc}")
        return None
    return ClientConfig(name=name, **fields)


def _fault_of_url(key: str, values: Mapping[str, Any]) -> str | None:
    """What is wrong with a URL whose scheme PARJAR_INSECURE_HTTP decides on, or None."""
    url = values[key]
    try:
        check_endpoint(url, allow_http=values.get("INSECURE_HTTP", False))
    except ValueError as exc:
        return str(exc)
    if key != "ISSUER":
        return None
    if "?" in url:
        return "an issuer has no query"
    issuer = _METADATA_PATH.sub("", url)
    return None if issuer == url else f"this is the URL of its metadata; write the issuer: {issuer}"


def _keys_with_headers(fields: Mapping[str, Any]) -> dict[str, tuple[SigningKey, ...]]:
    """The keys that sign, named in headers as PARJAR_KEY_HEADERS says."""
    names = fields.get("key_headers")
    lists = {each: fields.get(each) for each in ("signing_keys", "assertion_keys")}
    return {
        each: (keys[0].with_headers(names), *keys[1:])
        for each, keys in lists.items()
        if keys and names
    }


def _faults_between_keys(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The faults of keys that are valid alone but not together."""
    faults: list[tuple[str, str]] = []
    auth, secret = values.get("CLIENT_AUTH"), values.get("CLIENT_SECRET")
    signing = values.get("SIGNING_KEY")
    needs_key = auth == "private_key_jwt" or (auth is None and secret is None)
    level = REQUEST_LEVELS.get(values.get("REQUEST", DEFAULT_LEVEL))
    if "SIGNING_KEY" not in values and level is not None and level.signed:
        faults.append(
            ("SIGNING_KEY", "is required: a private key as PEM or JWK, or the path of one")
        )
    elif needs_key and not {"SIGNING_KEY", "ASSERTION_KEY", "CLIENT_ASSERTION"} & values.keys():
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
    return [*faults, *_faults_of_encryption(values)]


def _faults_of_encryption(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The faults of keys about encryption that are valid alone but not together."""
    decrypting = values.get("ENCRYPTION_KEY") or ()
    for name in ("ID_TOKEN_ENCRYPTION", "USERINFO_ENCRYPTION"):
        registered = values.get(name)
        if registered is None:
            continue
        if "ENCRYPTION_KEY" not in values:
            yield "ENCRYPTION_KEY", f"is required by {name}: a private key as PEM or JWK"
        elif decrypting and not any(key.fits(registered.alg) for key in decrypting):
            yield name, f"is {registered.alg}: no key of ENCRYPTION_KEY fits it"
    level = REQUEST_LEVELS.get(values.get("REQUEST", DEFAULT_LEVEL))
    if "REQUEST_ENCRYPTION_ALG" in values and level is not None and not level.signed:
        yield "REQUEST_ENCRYPTION_ALG", "needs signed requests: see PARJAR_REQUEST"
    if "REQUEST_ENCRYPTION_ENC" in values and "REQUEST_ENCRYPTION_ALG" not in values:
        yield "REQUEST_ENCRYPTION_ENC", "needs REQUEST_ENCRYPTION_ALG beside it"


def _faults_beside_assertion(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The faults of keys that do not go with PARJAR_CLIENT_ASSERTION."""
    if "CLIENT_ASSERTION" not in values:
        return
    for other in ("CLIENT_SECRET", "ASSERTION_KEY"):
        if other in values:
            yield other, "and CLIENT_ASSERTION are both set: leave one of them out"
    if values.get("CLIENT_AUTH") not in (None, "private_key_jwt"):
        yield "CLIENT_AUTH", "is not private_key_jwt, as it must be with CLIENT_ASSERTION"


def _faults_of_metadata(values: Mapping[str, Any]) -> list[str]:
    """The faults of metadata in the configuration: the operator can correct all of them."""
    try:
        metadata = ProviderMetadata.parse(
            values["METADATA"],
            expected_issuer=values["ISSUER"],
            allow_http=values.get("INSECURE_HTTP", False),
        )
    except ProviderUnavailable as exc:
        return [exc.detail]
    return list(metadata.ignored)


def _faults_of_kids(providers: Mapping[str, ClientConfig]) -> list[str]:
    """Different keys with one ``kid``: we publish all keys in one set, and one would hide another.

    RFC 7517 section 4.5.
    """
    by_kid: dict[str | None, PublicKey] = {}
    clashes: dict[str | None, None] = {}  # each kid once, in order
    for key in (key for client in providers.values() for key in client.own_keys):
        if not is_same_key(by_kid.setdefault(key.kid, key), key):
            clashes[key.kid] = None
    return [
        "PARJAR_SIGNING_KEY, PARJAR_ASSERTION_KEY or PARJAR_ENCRYPTION_KEY: different keys have "
        f"the kid {kid!r:.80}, and all keys are published in one set: give each its own kid"
        for kid in clashes
    ]


def _faults_of_uses(providers: Mapping[str, ClientConfig]) -> Iterator[str]:
    """A key that signs and decrypts: each use could harm the other (RFC 7517 section 4.2)."""
    signing = [k for each in providers.values() for k in each.signing_keys + each.assertion_keys]
    for client in providers.values():
        for key in client.encryption_keys:
            if any(is_same_key(key, other) for other in signing):
                yield (
                    f"PARJAR_ENCRYPTION_KEY of provider {client.name!r}: the key with the kid "
                    f"{key.kid!r:.80} signs too: sign with one key and decrypt with another"
                )


def _faults_of_audiences(providers: Mapping[str, ClientConfig]) -> Iterator[str]:
    """One assertion key at several providers, with another audience than the issuer.

    A malicious provider can name an endpoint of an honest one in its metadata, get an assertion for
    it, and use that there (draft-ietf-oauth-rfc7523bis section 4).
    """
    for client in providers.values():
        for other in providers.values():
            elsewhere = other.issuer != client.issuer and _asserts_elsewhere(client)
            if elsewhere and _assert_with_one_key(client, other):
                yield (
                    f"PARJAR_ASSERTION_AUDIENCE of provider {client.name!r} is "
                    f"{client.assertion_audience!r:.80}, and provider {other.name!r} has the "
                    "same key: one of the two could use client assertions at the other. Write "
                    "issuer, or give each an ASSERTION_KEY of its own"
                )


def _assert_with_one_key(client: ClientConfig, other: ClientConfig) -> bool:
    """Whether the client assertions of two clients are made with the same key or secret."""
    keys = client.first_assertion_key, other.first_assertion_key
    if keys[0] is None or keys[1] is None:
        return False
    if keys[0] is client.secret_key and keys[1] is other.secret_key:
        return client.client_secret == other.client_secret
    return is_same_key(keys[0], keys[1])


def _asserts_elsewhere(client: ClientConfig) -> bool:
    """Whether the client sends assertions with another audience than the issuer."""
    return (
        client.assertion_audience not in ("issuer", client.issuer)
        and client.first_assertion_key is not None
    )


def _insecure_choices(providers: Mapping[str, ClientConfig]) -> Iterator[str]:
    """The warnings about providers that are used with less than the best protection."""
    for client in providers.values():
        if client.insecure_http:
            yield (
                f"PARJAR_INSECURE_HTTP is on for provider {client.name!r}: logins are weaker than "
                "this library's promise"
            )
        if _asserts_elsewhere(client):
            yield (
                f"PARJAR_ASSERTION_AUDIENCE of provider {client.name!r} is "
                f"{client.assertion_audience!r:.80}: a malicious provider that has its metadata "
                "name another one's endpoint could use client assertions there. Write issuer if "
                "the provider accepts that"
            )
        if client.request_beside and client.request == "pushed+signed":
            yield (
                f"PARJAR_REQUEST_BESIDE of provider {client.name!r} sends "
                f"{', '.join(client.request_beside)} beside the request object, against RFC 9126 "
                "section 3: only for a provider that drops a request object without it"
            )
        if client.request in _WARNING_OF_LEVEL:
            yield _WARNING_OF_LEVEL[client.request].format(name=client.name)
