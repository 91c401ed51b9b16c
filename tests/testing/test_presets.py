"""Presets: the settings that are documented for a provider work, and each of its rules is held."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from flask import Flask

from flask_parjar import ParJar, current_user, step_up_required
from flask_parjar.testing import PRESETS, Demands, DevProvider, LogInAs, Preset, Rule, Stopped
from tests.support.altered_requests import AlteredRequests
from tests.support.breaches import BREACHES, entra
from tests.support.breaches.breach import STOPPED, Breach
from tests.support.doc_pages import PAGES, blocks
from tests.support.pages import code_of, is_logged_in
from tests.support.recipes import settings_of
from tests.support.site import ISSUER, Visitor, make_site, path_and_query, query

ROWS = [(name, rule) for name, of_preset in BREACHES.items() for rule in of_preset]


def outcome(preset: str | Preset, breach: Breach) -> tuple[str | None, str | None]:
    """The error code that a login ends with, and the error that the provider sends."""
    provider = DevProvider.like(preset, issuer=ISSUER)
    app = make_site(provider, **breach.config)
    sent = AlteredRequests(provider, app, breach.sends)
    visitor = Visitor(app, provider)
    answer = visitor.get("/login")
    if answer.status_code != 302:
        return code_of(answer), None
    try:
        back = provider.sign_in(sent.url(str(answer.location)))
    except Stopped:
        return STOPPED, None
    answer = visitor.get(path_and_query(back))
    return code_of(answer), query(back).get("error", [None])[0]


def test_each_rule_has_a_login_that_breaks_it() -> None:
    rules = {name: [rule.name for rule in preset.rules] for name, preset in PRESETS.items()}
    assert {name: [*of_preset] for name, of_preset in BREACHES.items()} == rules


@pytest.mark.parametrize("name", PRESETS)
def test_the_settings_of_a_preset_log_people_in(name: str) -> None:
    provider = DevProvider.like(name, issuer=ISSUER)
    visitor = Visitor(make_site(provider), provider)
    assert visitor.log_in("/login?next=/me").status_code == 302
    assert is_logged_in(visitor)


@pytest.mark.parametrize(("name", "rule"), ROWS)
def test_a_login_that_breaks_one_rule_is_refused(name: str, rule: str) -> None:
    breach = BREACHES[name][rule]
    assert outcome(name, breach) == (breach.code, breach.error)


@pytest.mark.parametrize(("name", "rule"), ROWS)
def test_it_is_this_rule_that_refuses_it(name: str, rule: str) -> None:
    preset = PRESETS[name]
    others = tuple(each for each in preset.rules if each.name != rule)
    breach = BREACHES[name][rule]
    assert outcome(replace(preset, rules=others), breach) != (breach.code, breach.error)


def test_a_preset_that_does_not_exist() -> None:
    with pytest.raises(ValueError, match="singpass"):
        DevProvider.like("singpas")


def test_a_preset_of_your_own() -> None:
    rules = [
        Rule(
            name=name,
            demand="",
            source="https://id.example/docs",
            read="2026-11-30",
            demands=Demands(assertion_claims=(name,), request_parameters={name: ".+"}),
        )
        for name in ("org", "unit")
    ]
    settings = {"PARJAR_SIGNING_KEY": "key.pem", "PARJAR_REQUEST": "pushed"}
    mine = Preset(title="Ours", settings=settings, rules=tuple(rules))
    more = {"org": "navy", "unit": "5"}
    both = {"PARJAR_ASSERTION_CLAIMS": more, "PARJAR_AUTHORIZATION_PARAMS": more}
    assert outcome(mine, Breach(code="", config=both)) == (None, None)
    for missing in more:
        for key in both:
            some = {**both, key: {name: more[name] for name in more if name != missing}}
            code = "client_refused" if key == "PARJAR_ASSERTION_CLAIMS" else "push_refused"
            assert outcome(mine, Breach(code="", config=some)) == (code, None)


def test_two_providers_of_one_preset_share_nothing() -> None:
    first, second = (DevProvider.like("singpass", issuer=ISSUER) for _ in range(2))
    first.demands.dpop_at = ()
    first.metadata["dpop_signing_alg_values_supported"].append("EdDSA")  # type: ignore[attr-defined]
    assert second.demands == DevProvider.like("singpass").demands != first.demands
    assert second.metadata["dpop_signing_alg_values_supported"] == ["ES256"]
    keys = [provider.config()["PARJAR_SIGNING_KEY"]["x"] for provider in (first, first, second)]
    assert len({*keys}) == 3


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_what_a_preset_says_of_its_rules(preset: Preset) -> None:
    assert preset.title and len(preset.rules) == len({rule.name for rule in preset.rules})
    for rule in preset.rules:
        assert re.fullmatch(r"https://\S+|[\w.-]+/[\w.-]+: [\w./@-]+", rule.source), rule.name
        assert date.fromisoformat(rule.read).year >= 2026, rule.name
        assert rule.demand.endswith("."), rule.name
        assert rule.metadata or rule.demands != Demands(), rule.name


def test_levels_are_those_of_the_provider() -> None:
    provider = DevProvider.like("idporten", issuer=ISSUER)

    def strong_view(app: Flask, parjar: ParJar) -> None:
        @app.get("/strong")
        @step_up_required(acr="idporten-loa-high")
        def strong() -> dict[str, Any]:
            return {"acr": current_user.acr, "amr": [*current_user.amr]}

    visitor = Visitor(make_site(provider, prepare=strong_view), provider)
    visitor.log_in()
    visitor.log_in(str(visitor.get("/strong").location))
    assert visitor.get("/strong").json == {
        "acr": "idporten-loa-high",
        "amr": ["pwd", "otp", "mfa"],
    }
    visitor.log_in()  # without a level: the weakest
    assert visitor.get("/strong").status_code == 302


@pytest.mark.parametrize("names", [["x5t#S256"], ["kid", "x5t#S256"]])
def test_a_site_that_authenticates_at_entra_with_its_certificate(names: list[str]) -> None:
    provider = DevProvider.like("entra", issuer=ISSUER)
    config = {**entra.CERTIFIED, "PARJAR_KEY_HEADERS": names}
    visitor = Visitor(make_site(provider, **config), provider)
    visitor.log_in()
    assert is_logged_in(visitor)


def test_the_tenants_of_entra() -> None:
    provider = DevProvider.like("entra", issuer="https://login.example/organizations/v2.0")
    provider.serve_tenants({"ada": "ours", "grace": "theirs"})
    visitor = Visitor(make_site(provider, PARJAR_TENANTS="ours"), provider)
    assert visitor.log_in().status_code == 302
    assert code_of(visitor.log_in(person="grace")) == "tenant_refused"


def shown(page: str) -> list[dict[str, Any]]:
    """The settings in each block of a page."""
    return [settings_of(block.text) for block in blocks(page, "ini")]


@pytest.mark.parametrize("name", PRESETS)
def test_the_pages_show_the_settings_of_a_preset(name: str) -> None:
    assert dict(PRESETS[name].settings) in shown("providers") + shown("deployments")


def test_the_page_on_presets_has_each_preset() -> None:
    sections = re.findall(
        r"^(.+)\n-+\n\n``([\w-]+)``(?:.*\n)+?\n\.\. preset:: ([\w-]+)$",
        PAGES["presets"],
        re.MULTILINE,
    )
    assert sections == [(preset.title, name, name) for name, preset in PRESETS.items()]
    (example,) = shown("presets")
    assert example == {**PRESETS["singpass"].settings, "PARJAR_ISSUER": "http://127.0.0.1:9000"}


def test_a_login_of_a_test_does_not_make_a_preset_weaker() -> None:
    provider = DevProvider.like("singpass", issuer=ISSUER)
    app = make_site(provider, connect=False, PARJAR_REQUEST="plain")
    with pytest.raises(AssertionError, match="par_required"):
        LogInAs(provider)(app.test_client())
    app = make_site(provider, connect=False)
    client = app.test_client()
    LogInAs(provider)(client)
    assert client.get("/me").status_code == 200
