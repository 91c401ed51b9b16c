"""The table of what works at which provider: made by the interop tests, and shown in the docs.

A test names the feature that works if it passes, ``@shows_at("Keycloak")("userinfo")``, or the
error code with which the site refuses. ``pytest tests/interop --write-interop-table`` writes what
was shown of each provider that was tried; every other run fails if it shows something else than the
table has.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

TABLE = Path(__file__).parents[2] / "docs" / "interop.csv"

PROVIDERS = (
    "oidc-provider",
    "Keycloak",
    "Glewlwyd",
    "Spring Authorization Server",
    "Glewlwyd without PAR",
    "oidc-provider-mock",
)

#: In the order of the table.
FEATURES = (
    "signed and pushed request",
    "pushed request alone",
    "signed request alone",
    "plain request",
    "RS256",
    "PS256",
    "ES256",
    "EdDSA",
    "Ed25519",
    "private_key_jwt",
    "client_secret_basic",
    "client_secret_post",
    "client_secret_jwt",
    "none",
    "the keys of the site by URL",
    "iss in the response",
    "form_post",
    "signed response",
    "signed response by form",
    "encrypted response",
    "userinfo",
    "signed userinfo",
    "encrypted ID token",
    "encrypted userinfo",
    "encrypted request object",
    "rich authorization requests",
    "refresh tokens",
    "rotated refresh tokens",
    "revocation",
    "DPoP",
    "DPoP with nonces",
    "mutual TLS, tls_client_auth",
    "mutual TLS, self_signed_tls_client_auth",
    "mutual TLS, bound tokens with private_key_jwt",
    "FAPI 2.0, fapi2-security with DPoP",
    "FAPI 2.0, fapi2-message-signing with DPoP",
    "FAPI 2.0, fapi2-security with mutual TLS",
    "FAPI 2.0, fapi2-message-signing with mutual TLS",
    "logout at the provider",
    "back-channel logout",
    "front-channel logout",
    "max_age",
    "essential acr",
    "prompt",
    "refused consent",
)

#: A result that is no error code: the feature works, or the provider does not have it.
WORKS, ABSENT = "works", "absent"

#: Results by provider and feature.
Results = Mapping[tuple[str, str], str]


def shows_at(provider: str) -> Callable[..., pytest.MarkDecorator]:
    """Return the mark for tests at a provider: ``shows(feature)``, or ``shows(feature, code)``."""

    def shows(feature: str, result: str = WORKS) -> pytest.MarkDecorator:
        return pytest.mark.shows(provider, feature, result)

    return shows


def each_shows(shows: Callable[..., pytest.MarkDecorator], features: Sequence[str]) -> list[Any]:
    """Return the values of a parameter, each of which is a feature."""
    return [pytest.param(each, marks=shows(each)) for each in features]


def read_table() -> dict[tuple[str, str], str]:
    """Return the results of the table."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return {(provider, feature): result for provider, feature, result in csv.reader(file)}


def write_table(results: Results) -> None:
    """Write the table."""
    with TABLE.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows((*where, results[where]) for where in _places() if where in results)


def _places() -> Iterator[tuple[str, str]]:
    return ((provider, feature) for provider in PROVIDERS for feature in FEATURES)


class Recorder:
    """Collects what tests have shown; a plugin of pytest.

    With pytest-xdist it is in every process: the workers attach the marks to their reports, and the
    process that started them reads all reports.
    """

    def __init__(self, *, write: bool) -> None:
        self._write = write
        self._shown: dict[tuple[str, str], set[str]] = {}
        self._differences: list[str] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Any:
        report: pytest.TestReport = yield
        if report.when == "call":
            shown = [list(mark.args) for mark in item.iter_markers("shows")]
            report.user_properties += [("shows", each) for each in shown]
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for name, value in report.user_properties if report.when == "call" else ():
            if name == "shows":
                provider, feature, result = value
                where = (provider, feature)
                self._shown.setdefault(where, set()).add(result if report.passed else "failed")

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if hasattr(session.config, "workerinput") or not self._shown:
            return  # a worker of pytest-xdist has seen a part of the tests
        results = {where: " and ".join(sorted(shown)) for where, shown in self._shown.items()}
        table = read_table()
        if self._write:
            tried = {provider for provider, _ in results}
            others = {where: table[where] for where in table if where[0] not in tried}
            write_table(others | results)
            return
        self._differences = [
            f"{provider}, {feature}: {result}; the table has {table.get((provider, feature))}"
            for (provider, feature), result in sorted(results.items())
            if table.get((provider, feature)) != result
        ]
        if self._differences:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._differences:
            terminalreporter.section(f"docs/{TABLE.name} is not what the tests show")
            terminalreporter.write_line("\n".join(self._differences))
            terminalreporter.write_line("pytest tests/interop --write-interop-table writes it anew")


def marked(test: Any) -> Iterator[tuple[str, str, str]]:
    """What the marks of a test function say, those of its parameters too."""
    for mark in getattr(test, "pytestmark", ()):
        if mark.name == "shows":
            yield mark.args
        elif mark.name == "parametrize":
            for value in mark.args[1]:
                yield from (
                    each.args for each in getattr(value, "marks", ()) if each.name == "shows"
                )
