"""The PARJAR_* keys of an app to frozen settings: all faults are reported at once."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import ConfigError
from ..protocol.client import ClientConfig
from ..protocol.keys import SigningKey, parse_shared_secret
from ..protocol.mutual_tls import ClientCertificate
from .certificate import ending_certificates, faults_of_mutual_tls, read_client_certificate
from .faults import (
    fault_of_url,
    faults_beside_assertion,
    faults_between_keys,
    faults_of_audiences,
    faults_of_kids,
    faults_of_labels,
    faults_of_metadata,
    faults_of_pages,
    faults_of_secret_keys,
    faults_of_uses,
    faults_without_pkce,
)
from .keys import FIELD_OF_KEY, KEYS, MAY_BE_SECRET, REQUEST_LEVEL_OF_FORMER_KEY
from .profiles import faults_of_profile
from .warnings import insecure_choices

_Label = Callable[[str], str]

#: The name of the only provider if PARJAR_PROVIDERS is not set.
DEFAULT_PROVIDER = "default"


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
    faults.extend(faults_of_secret_keys(secret_key, config.get("SECRET_KEY_FALLBACKS") or []))
    app_wide = {
        _field(key): values.pop(key)
        for key in list(values)
        if not KEYS[key].per_provider and key != "PROVIDERS"
    }
    faults.extend(faults_of_pages(app_wide))
    named = "PROVIDERS" in values
    sections = values.pop("PROVIDERS", None)
    providers = {} if named and sections is None else _read_providers(sections, values, faults)
    if not faults:  # else a client may be without its keys
        faults.extend(faults_of_labels(providers))
        faults.extend(faults_of_kids(providers))
        faults.extend(faults_of_uses(providers))
        faults.extend(faults_of_audiences(providers))
        faults.extend(faults_of_profile(providers))
    if faults:
        raise ConfigError(faults)
    return Settings(
        providers=providers,
        named=named,
        warnings=(*insecure_choices(providers), *ending_certificates(providers)),
        **app_wide,
    )


def _field(key: str) -> str:
    return FIELD_OF_KEY.get(key, key.lower())


def _parse_keys(given: Mapping[str, Any], label: _Label, faults: list[str]) -> dict[str, Any]:
    """Read the known keys, and report each unknown one.

    :param label: gives the name of a key as the operator writes it here.
    """
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name not in KEYS:
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
    if name in REQUEST_LEVEL_OF_FORMER_KEY:
        return (
            f": PARJAR_REQUEST has taken its place: write {label('REQUEST')} = "
            f"{REQUEST_LEVEL_OF_FORMER_KEY[name]!r}, or 'plain' for requests that are neither "
            "pushed nor signed"
        )
    close = difflib.get_close_matches(name, KEYS, n=1)
    return f": did you mean {label(close[0])}?" if close else ""


def _found(name: str, value: Any) -> str:
    """Show a faulty value, unless it could be a secret."""
    if name in MAY_BE_SECRET:
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
        if values.get(key) and (fault := fault_of_url(key, values)):
            faults.append(f"{label(key)} is {values[key]!r:.200}: {fault}")
    faults.extend(f"{label(key)} {fault}" for key, fault in faults_between_keys(values))
    faults.extend(f"{label(key)} {fault}" for key, fault in faults_beside_assertion(values))
    faults.extend(f"{label(key)} {fault}" for key, fault in faults_without_pkce(values))
    faults.extend(f"{label(key)} {fault}" for key, fault in faults_of_mutual_tls(values))
    if len(faults) == found_before and values.get("METADATA") is not None:
        faults.extend(f"{label('METADATA')}: {fault}" for fault in faults_of_metadata(values))
    if len(faults) > found_before:
        return None
    fields = {_field(key): value for key, value in values.items()}
    for key, derive in _DERIVED.items():
        try:
            fields.update(derive(fields))
        except ValueError as exc:
            faults.append(f"{label(key)}: {exc}")
            return None
    return ClientConfig(name=name, **fields)


def _secret_key(fields: Mapping[str, Any]) -> dict[str, SigningKey]:
    """The key of ``client_secret_jwt``."""
    if fields.get("client_auth") != "client_secret_jwt":
        return {}
    try:
        return {"secret_key": parse_shared_secret(fields["client_secret"])}
    except ValueError as exc:
        raise ValueError("it is the text of a key: write the shared secret") from exc


def _certificate(fields: Mapping[str, Any]) -> dict[str, ClientCertificate]:
    """The client certificate."""
    path, key_path = fields.get("client_cert"), fields.get("client_cert_key")
    if path is None or key_path is None:  # not set, or at fault
        return {}
    return {"certificate": read_client_certificate(path, key_path)}


def _as_former(key: SigningKey, names: tuple[str, ...]) -> SigningKey:
    """A key that is not the first, named in the same way, if it can be."""
    try:
        return key.with_headers(names) if key.is_private else key
    except ValueError:
        return key  # it was not first with these names, so it has signed nothing with them


def _keys_with_headers(fields: Mapping[str, Any]) -> dict[str, tuple[SigningKey, ...]]:
    """The keys that sign, named in headers as PARJAR_KEY_HEADERS says."""
    names = fields.get("key_headers")
    lists = {each: fields.get(each) for each in ("signing_keys", "assertion_keys")}
    return {
        each: (keys[0].with_headers(names), *(_as_former(key, names) for key in keys[1:]))
        for each, keys in lists.items()
        if keys and names
    }


#: What is made from the values of several keys, by the key that a fault is reported at.
_DERIVED: Mapping[str, Callable[[Mapping[str, Any]], Mapping[str, Any]]] = {
    "CLIENT_SECRET": _secret_key,
    "CLIENT_CERT": _certificate,
    "KEY_HEADERS": _keys_with_headers,
}
