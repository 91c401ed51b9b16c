"""Read the values of single keys; a value that makes no sense raises ValueError."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

from ..protocol.algorithms import ASYMMETRIC_ALGORITHMS
from ..protocol.authorization import check_params
from ..protocol.client_auth import check_assertion_claims
from ..protocol.encoding import is_number
from ..protocol.issuer import OF_MANY_TENANTS, TENANT_ID
from ..protocol.jwe import DecryptionKey, parse_decryption_keys
from ..protocol.keys import (
    KEY_HEADERS,
    Signer,
    SigningKey,
    parse_signer,
    parse_signing_keys,
)
from ..protocol.mutual_tls import parse_chain, parse_private_key
from ..protocol.outbound import check_headers
from ..protocol.urls import check_endpoint, parse_return_path
from ..stores import REDIS_SCHEMES

K = TypeVar("K")

_KEY_FILES = (".pem", ".key", ".p8", ".json", ".jwk", ".jwks")
#: What PARJAR_REQUEST_BESIDE may not name.
_NEVER_BESIDE = frozenset(
    "response_type client_id request request_uri client_secret client_assertion "
    "client_assertion_type".split()
)

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[\x21-\x7e]+")

#: Flask reads an environment variable as JSON where it can, so digits become a number.
WRITE_TEXT = "write text; in the environment with double quotes inside of single quotes: '\"…\"'"


def read_text(value: Any) -> str:
    if isinstance(value, int | float):
        raise ValueError(f"it is of the type {type(value).__name__}: {WRITE_TEXT}")
    if not isinstance(value, str) or not value.strip():
        raise ValueError("write a non-empty string")
    return value.strip()


def read_client_id(value: Any) -> str:
    # Flask reads an environment variable that looks like a number as a number.
    return read_text(
        str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    )


def read_words(value: Any) -> tuple[str, ...]:
    words = value.split() if isinstance(value, str) else value
    if not isinstance(words, list | tuple) or not all(isinstance(w, str) and w for w in words):
        raise ValueError("write a list of strings, or one string with spaces between")
    return tuple(words)


def read_tenants(value: Any) -> frozenset[str]:
    tenants = read_words(value)
    for tenant in tenants:
        if tenant in (*OF_MANY_TENANTS, "consumers"):
            raise ValueError(f"{tenant} is no tenant: write the identifiers of tenants")
        if not TENANT_ID.fullmatch(tenant):
            raise ValueError(
                f"{tenant!r:.80} is not the identifier of a tenant, as it is in tid: lower-case "
                "letters, digits and - (not the name of its domain)"
            )
    if not tenants:
        raise ValueError("name the tenants that may log in, or leave the key out")
    return frozenset(tenants)


def read_flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("write True or False, and in the environment true or false")
    return value


def read_seconds(at_least: int, at_most: int) -> Callable[[Any], int]:
    def parse(value: Any) -> int:
        return math.ceil(_duration(value, at_least, at_most))

    return parse


def read_timeout(value: Any) -> float:
    return _duration(value, 1, 60)


def _duration(value: Any, at_least: int, at_most: int) -> float:
    if not is_number(value) or not at_least <= value <= at_most:
        raise ValueError(f"write a number of seconds from {at_least} to {at_most}")
    return value


def read_one_of(*choices: str) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        if value not in choices:
            raise ValueError(f"write one of {', '.join(choices)}")
        return str(value)

    return parse


def read_request_beside(value: Any) -> tuple[str, ...]:
    names = read_words(value)
    if wrong := sorted(_NEVER_BESIDE.intersection(names)):
        # A response_type beside a pushed request object makes one server (AT Protocol's) read the
        # parameters beside it and drop the object. The others are set by the library.
        raise ValueError(f"leave out {', '.join(wrong)}")
    return names


def read_audience(*choices: str) -> Callable[[Any], str]:
    """Read one of the choices, or an ``aud`` itself.

    An ``aud`` may be any string (RFC 7519 section 4.1.3). Here it has a colon, as every URI has:
    otherwise a misspelt choice would be sent to the provider.
    """

    def parse(value: Any) -> str:
        if value not in choices and (not isinstance(value, str) or not _URI.fullmatch(value)):
            raise ValueError(f"write {', '.join(choices)}, or the audience itself as a URI")
        return str(value)

    return parse


def read_mapping(value: Any) -> Mapping[str, Any]:
    if isinstance(value, str):
        raise ValueError('it is text: write a dict, and in the environment JSON: {"name": "value"}')
    if not isinstance(value, Mapping):
        raise ValueError("write a dict")
    return value


def read_authorization_params(value: Any) -> Mapping[str, Any]:
    check_params(read_mapping(value))
    return dict(value)


def read_assertion_claims(value: Any) -> Callable[[], Mapping[str, Any]]:
    return _read_mapping_or_function(value, check_assertion_claims)


def read_client_assertion(value: Any) -> Callable[[], str]:
    """Read the path of a file, which is read again for each assertion, or a function."""
    if callable(value):
        return cast("Callable[[], str]", value)
    path = Path(read_text(os.fspath(value) if isinstance(value, Path) else value))
    try:
        path.read_text(encoding="utf-8")
    except (OSError, ValueError) as exc:
        raise ValueError(
            f"it is no file that can be read ({type(exc).__name__}): write the path of a file with "
            "the assertion, or a function that returns one"
        ) from exc
    return lambda: path.read_text(encoding="utf-8")


def read_http_headers(value: Any) -> Callable[[], Mapping[str, str]]:
    return _read_mapping_or_function(value, check_headers)


def _read_mapping_or_function(
    value: Any, check: Callable[[dict[str, Any]], None]
) -> Callable[[], Mapping[str, Any]]:
    """Read a dict, which is checked now, or a function, whose dict is checked at each call."""
    if callable(value):
        return cast("Callable[[], Mapping[str, Any]]", value)
    written = dict(read_mapping(value))
    check(written)
    return lambda: written


def read_key_headers(value: Any) -> tuple[str, ...]:
    names = read_words(value)
    if not names or not set(names).issubset(KEY_HEADERS):
        raise ValueError(f"choose among {', '.join(KEY_HEADERS)}")
    return names


def read_path(value: Any) -> str:
    path = parse_return_path(value)
    if path is None:
        raise ValueError("write a path of this site that begins with one slash, such as /home")
    return path


def read_url_prefix(value: Any) -> str:
    if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+/?", str(value)):
        raise ValueError("write a path of letters, digits and - . _ ~, such as /auth")
    return str(value).rstrip("/")


def read_url(value: Any) -> str:
    return check_endpoint(value, allow_http=True)


def read_ca_bundle(value: Any) -> str:
    if not os.path.exists(read_text(value)):
        raise ValueError("there is no such file or folder")
    return str(value)


def read_certificate(value: Any) -> str:
    return _read_pem_path(value, parse_chain)


def read_certificate_key(value: Any) -> str:
    return _read_pem_path(value, parse_private_key)


def _read_pem_path(value: Any, parse: Callable[[str], object]) -> str:
    """Read the path of a PEM file. A renewed certificate is read from there, so it is no text."""
    path = read_text(os.fspath(value) if isinstance(value, Path) else value)
    if "-----BEGIN" in path or "\n" in path:
        raise ValueError("it is the text of a PEM: write the path of a file with it")
    try:
        pem = Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as exc:
        reason = f"it is no file that can be read ({type(exc).__name__}): "
        raise ValueError(reason + _where_a_file_was_expected(path)) from exc
    try:
        parse(pem)
    except ValueError as exc:
        raise ValueError(f"the file {path}: {exc}") from exc
    return path


def read_store(value: Any) -> str:
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


def read_signing_keys(value: Any) -> tuple[SigningKey, ...]:
    """Read keys that sign, or a `Signer`."""
    if isinstance(value, Signer):
        return parse_signer(value)
    return _read_keys(value, parse_signing_keys)


def read_encryption_keys(value: Any) -> tuple[DecryptionKey, ...]:
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
    text = read_text(os.fspath(value) if isinstance(value, Path) else value)
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


def read_id_token_algs(value: Any) -> tuple[str, ...]:
    algs = read_words(value)
    wrong = [alg for alg in algs if alg not in ASYMMETRIC_ALGORITHMS]
    if wrong or not algs:
        raise ValueError(f"choose among {', '.join(ASYMMETRIC_ALGORITHMS)}")
    return algs


def read_scopes(value: Any) -> tuple[str, ...]:
    scopes = read_words(value)
    if "openid" in scopes:
        return scopes
    if any("openid" in re.findall(r"\w+", each) for each in scopes):
        raise ValueError("write the scopes with spaces between, and nothing else: openid profile")
    raise ValueError("add openid: without it the provider gives no ID token")
