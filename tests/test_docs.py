"""The pages and the code say the same, and the examples on the pages run.

Nothing is built here: the pages are read as text. Whatever looks for something on a page also
fails when it finds nothing, so that a page that was renamed or reworded takes no check with it.
"""

from __future__ import annotations

import ast
import fnmatch
import importlib
import json
import logging
import os
import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import pytest
from blinker import NamedSignal
from click.testing import CliRunner
from flask import Flask
from joserfc.jwk import ECKey, RSAKey

import flask_parjar
import flask_parjar.signals
import flask_parjar.testing
from flask_parjar import ConfigError, ParJar, claims_required
from flask_parjar.cli import parjar_cli
from flask_parjar.config import KEYS, Settings, read_settings
from flask_parjar.error_codes import CODES
from flask_parjar.flows.session_registry import TRUSTED_FOR, TRUSTED_IN_AN_OUTAGE
from flask_parjar.protocol.client import ClientConfig
from flask_parjar.protocol.rotation import new_key, new_set
from flask_parjar.protocol.tokens import RENEWAL_MARGIN
from flask_parjar.protocol.urls import MAX_RETURN_PATH
from flask_parjar.stores import open_store
from flask_parjar.stores.cookies import CHUNK
from flask_parjar.testing import FAULTS, REFRESH_FAULTS, DevProvider
from tests.conformance.table import MODULES as CONFORMANCE
from tests.conformance.table import ROWS as CONFORMANCE_ROWS
from tests.support.certificates import make_pair
from tests.support.doc_pages import PAGES, README, ROOT, RST_BLOCK, blocks, run
from tests.support.fault_table import FAULTS as FAULT_TABLE
from tests.support.interop_table import ABSENT, FEATURES, PROVIDERS, WORKS, marked, read_table
from tests.support.site import Visitor, make_site

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PACKAGE = Path(flask_parjar.__path__[0])
EVERYTHING = "\n".join([README, *PAGES.values()])


def simple_table(page: str, first_heading: str) -> list[list[str]]:
    """The rows of a reST simple table, found by the heading of its first column."""
    table = re.search(
        rf"^(=+(?:  =+)+)\n{re.escape(first_heading)} .*\n\1\n(.*?)\n\1$",
        PAGES[page],
        re.MULTILINE | re.DOTALL,
    )
    assert table, f"{page} has no table of {first_heading}"
    starts = [match.start() for match in re.finditer(r"=+", table[1])]
    rows: list[list[str]] = []
    for line in table[2].splitlines():
        cells = [
            line[start:end].strip() for start, end in zip(starts, [*starts[1:], None], strict=True)
        ]
        if cells[0]:
            rows.append(cells)
        else:
            rows[-1] = [
                f"{above} {cell}".strip() for above, cell in zip(rows[-1], cells, strict=True)
            ]
    return rows


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the examples name."""
    folder = tmp_path_factory.mktemp("keys")
    rsa, ec = RSAKey.generate_key(2048), ECKey.generate_key("P-256")
    (folder / "key.pem").write_bytes(ec.as_pem(private=True))
    for name, use in (("keys.json", "sig"), ("decryption-keys.json", "enc")):
        jwks = new_set(new_key("P-256", use), kind="P-256", now=0)
        (folder / name).write_text(json.dumps(jwks), encoding="utf-8")
    for name in ("decryption-key.pem", "new-decryption-key.pem"):
        (folder / name).write_bytes(ECKey.generate_key("P-256").as_pem(private=True))
    for name in ("rsa-key.pem", "partners-key.pem", "assertion-key.pem", "company-ca.pem"):
        (folder / name).write_bytes(rsa.as_pem(private=True))
    decrypting = RSAKey.generate_key(2048)
    (folder / "rsa-decryption-key.pem").write_bytes(decrypting.as_pem(private=True))
    for name in ("jar-key.json", "assertion-key.json"):
        (folder / name).write_text(json.dumps(rsa.as_dict(private=True)))
    pair = make_pair()
    (folder / "site.pem").write_text(pair.pem)
    (folder / "site.key").write_text(pair.key_pem)
    return folder


@pytest.fixture
def in_keys(keys: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(keys)
    for name in list(os.environ):
        if name.startswith("FLASK_"):
            monkeypatch.delenv(name)
    return keys


# Configuration.

CONFVALS = {
    name: body
    for name, body in re.findall(
        r"^\.\. confval:: PARJAR_(\w+)\n((?:   .*\n|\n)+)", PAGES["configuration"], re.MULTILINE
    )
}


def test_every_key_has_an_entry_and_every_entry_a_key() -> None:
    entries = re.findall(r"^\.\. confval:: (\w+)$", PAGES["configuration"], re.MULTILINE)
    assert sorted(entries) == sorted(f"PARJAR_{key}" for key in KEYS)


@pytest.mark.parametrize("key", KEYS)
def test_entry_says_what_the_code_does(key: str, in_keys: Path) -> None:
    body = CONFVALS[key]
    assert ("for each provider" in body) == KEYS[key].per_provider
    default = re.search(r"^   :default: (.*)$", body, re.MULTILINE)
    assert default and re.search(r"^   :type: \S", body, re.MULTILINE)
    literal = re.fullmatch(r"``([^`]+)``", default[1])
    coded = default_of(key)
    if literal:
        assert ast.literal_eval(literal[1]) == coded
    else:  # in words, where the code has nothing
        assert not coded, f"write ``{coded!r}``"


def default_of(key: str) -> Any:
    """What the settings hold where the configuration says nothing."""
    if key in ("ISSUER", "CLIENT_ID", "PROVIDERS"):
        return None
    if not KEYS[key].per_provider:
        return getattr(Settings(providers={}), key.lower())
    client = ClientConfig(name="default", issuer="https://id.example.com", client_id="my-site")
    several = f"{key.lower()}s"  # signing_keys, assertion_keys
    return getattr(client, several if hasattr(client, several) else key.lower())


@pytest.mark.parametrize("key", KEYS)
def test_example_of_a_key_is_accepted(key: str, in_keys: Path) -> None:
    example = re.search(r"\.\. code-block:: python\n\n((?:      .*\n|\n)+)", CONFVALS[key])
    assert example
    given: dict[str, Any] = {}
    run(textwrap.dedent(example[1]), given, page="configuration")
    del given["__builtins__"]
    assert list(given) == [f"PARJAR_{key}"]
    base = {
        "PARJAR_ISSUER": "https://id.example.com",
        "PARJAR_CLIENT_ID": "my-site",
        "PARJAR_SIGNING_KEY": "key.pem",
        "PARJAR_CLIENT_SECRET": None,
        "PARJAR_CLIENT_CERT": "site.pem",
        "PARJAR_CLIENT_CERT_KEY": "site.key",
        "PARJAR_ENCRYPTION_KEY": "decryption-key.pem",
        "PARJAR_RESPONSE_MODE": "jwt",
        "PARJAR_REQUEST_ENCRYPTION_ALG": "ECDH-ES",
    }
    if key == "PROFILE":
        del base["PARJAR_CLIENT_SECRET"]
        base["PARJAR_DPOP"] = True
    if key == "TENANTS":
        base["PARJAR_ISSUER"] = "https://login.microsoftonline.com/organizations/v2.0"
    if key == "REQUEST":  # without signed requests nothing is encrypted
        del base["PARJAR_REQUEST_ENCRYPTION_ALG"]
    read_settings({**base, **given}, secret_key="of the tests")


def test_no_page_names_a_key_that_does_not_exist() -> None:
    table = " ".join(f"{code.visitor} {code.operator}" for code in CODES.values())
    named = set(re.findall(r"\bPARJAR_([A-Z_]*[A-Z])\b", EVERYTHING + table))
    assert named >= set(KEYS)
    assert named - set(KEYS) == {"SCOPE"}  # the misspelt key that configuration shows


def test_init_app_lists_every_key() -> None:
    listed = re.findall(r"``PARJAR_([A-Z_]*[A-Z])``", ParJar.init_app.__doc__ or "")
    assert sorted(listed) == sorted(KEYS)


def test_the_example_of_a_faulty_configuration_is_real() -> None:
    shown = re.search(r"ConfigError: (Flask-ParJar.*\n(?:     - .*\n)+)", PAGES["configuration"])
    assert shown
    config = {
        "PARJAR_ISSUER": "https://id.example.com",
        "PARJAR_SIGNING_KEY": ECKey.generate_key("P-256").as_dict(private=True),
        "PARJAR_SCOPE": "openid",
    }
    with pytest.raises(ConfigError) as caught:
        read_settings(config, secret_key=None)
    assert str(caught.value).split() == shown[1].split()


@pytest.mark.parametrize(
    "page", ["README", "quickstart", "providers", "deployments", "tokens", "fapi"]
)
def test_settings_in_the_environment_are_accepted(
    page: str, in_keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for block in blocks(page, "ini"):
        lines = dict(line.split("=", 1) for line in block.text.splitlines() if line)
        with monkeypatch.context() as patched:
            for name, value in {"FLASK_SECRET_KEY": "of the tests", **lines}.items():
                patched.setenv(name, value)
            app = Flask(__name__)
            app.config.from_prefixed_env()
            settings = read_settings(app.config, secret_key=app.secret_key)
            assert [each.client_id for each in settings.providers.values()]
            ParJar(app)
            assert "parjar" in app.extensions


def test_the_recipe_for_a_certificate_makes_one(tmp_path: Path, in_keys: Path) -> None:
    (recipe,) = [block.text for block in blocks("tokens", "console") if "openssl" in block.text]
    commands = re.sub(r"^\$ ", "", recipe, flags=re.MULTILINE)
    subprocess.run(["sh", "-ec", commands], cwd=tmp_path, check=True, capture_output=True)
    config = {
        "PARJAR_ISSUER": "https://id.example.com",
        "PARJAR_CLIENT_ID": "my-site",
        "PARJAR_SIGNING_KEY": "key.pem",
        "PARJAR_CLIENT_AUTH": "self_signed_tls_client_auth",
        "PARJAR_CLIENT_CERT": str(tmp_path / "site.pem"),
        "PARJAR_CLIENT_CERT_KEY": str(tmp_path / "site.key"),
    }
    settings = read_settings(config, secret_key="of the tests, and long enough")
    assert settings.warnings == ()


# Error codes.


def test_every_error_code_is_in_one_table() -> None:
    tables = re.findall(r"^\.\. error-codes:: ([\d ]+)$", PAGES["errors"], re.MULTILINE)
    statuses = [int(status) for table in tables for status in table.split()]
    assert len(statuses) == len(set(statuses))
    assert {meaning.status for meaning in CODES.values()} == set(statuses)


def test_every_code_on_a_page_exists() -> None:
    mentioned = set(re.findall(r":errcode:`(\w+)`", EVERYTHING))
    assert mentioned and mentioned <= set(CODES)


def test_the_tree_of_errors_is_drawn() -> None:
    drawn = re.findall(r"^   (?:[│ ]+)?(?:[├└]─ )?(\w+) {2,}", PAGES["errors"], re.MULTILINE)
    assert sorted(drawn) == sorted(
        name
        for name in flask_parjar.__all__
        if isinstance(getattr(flask_parjar, name), type)
        and issubclass(getattr(flask_parjar, name), Exception)
    )


# Names.


def documented(module: str) -> list[str]:
    """What is documented as a member of a module, wherever it stands."""
    names = []
    for text in PAGES.values():
        current = "flask_parjar"
        for directive, name in re.findall(
            r"^\.\. (module|autoclass|autofunction|autoexception|autodata|data):: ([\w.]+)",
            text,
            re.MULTILINE,
        ):
            if directive == "module":
                current = name
            elif current == module:
                names.append(name)
    return names


def test_every_public_name_is_documented_once() -> None:
    assert sorted(documented("flask_parjar")) == sorted(flask_parjar.__all__)
    assert sorted(documented("flask_parjar.testing")) == sorted(flask_parjar.testing.__all__)
    assert sorted(documented("flask_parjar.testing.plugin")) == [
        "parjar_log_in_as",
        "parjar_no_unguarded_routes",
        "parjar_provider",
    ]


def test_names_in_backticks_are_public() -> None:
    mentioned = set(re.findall(r"(?<![`:\w])`(\w+)`(?![`_])", "\n".join(PAGES.values())))
    assert mentioned
    assert mentioned <= {*flask_parjar.__all__, *flask_parjar.testing.__all__}


def test_members_of_current_user_exist() -> None:
    rows = simple_table("protecting", "``current_user.…``")
    named = {name for row in rows for name in re.findall(r"``(\w+)``", row[0])}
    there = {each.name for each in fields(flask_parjar.Identity)} | {
        name for name, member in vars(flask_parjar.Identity).items() if isinstance(member, property)
    }
    assert named == there


def test_signals_carry_what_the_page_says() -> None:
    entries = re.findall(r"^\.\. data:: (\w+)\n\n((?:   .*\n|\n)+)", PAGES["signals"], re.MULTILINE)
    told = {name: set(re.findall(r"^   :(\w+):", body, re.M)) for name, body in entries}
    signals = {
        name: signal
        for name, signal in vars(flask_parjar.signals).items()
        if isinstance(signal, NamedSignal)
    }
    assert set(told) == set(signals) <= set(flask_parjar.__all__)
    sent: dict[str, set[str]] = {}

    def listen(name: str) -> Any:
        def receive(sender: Flask, **more: Any) -> None:
            sent.setdefault(name, set()).update(more)

        return receive

    provider = DevProvider()
    provider.access_token_seconds = 0  # due as soon as it is there
    app = make_site(
        provider,
        prepare=lambda app, parjar: app.add_url_rule("/token", view_func=parjar.access_token),
        PARJAR_STORE="memory",
        PARJAR_SCOPES="openid offline_access",
    )
    receivers = {name: listen(name) for name in signals}
    for name, signal in signals.items():
        signal.connect(receivers[name], app)
    visitor = Visitor(app, provider)
    visitor.log_in()
    visitor.get("/token")
    with provider.fault("refresh_invalid_grant"):
        visitor.get("/token")
    visitor.get("/acme")
    visitor.get("/callback?state=forged&code=x")
    visitor.post("/backchannel-logout")
    visitor.post("/logout", headers={"Sec-Fetch-Site": "same-origin"})
    in_each = set(re.findall(r"^:(\w+):", PAGES["signals"], re.MULTILINE))
    assert in_each == {"event", "issuer", "subject", "session"}
    assert sent == {name: own | in_each for name, own in told.items()}


def test_commands_and_their_options() -> None:
    named = set(re.findall(r"flask(?: --app \w+)? parjar ([a-z][\w-]*)", EVERYTHING))
    context = click.Context(parjar_cli)
    assert named == set(parjar_cli.list_commands(context))
    text = PAGES["cli"]
    for name in named:
        command = parjar_cli.get_command(context, name)
        assert command is not None and command.name == name
        section = re.search(
            rf"^``flask parjar {name}``\n-+\n(.*?)(?=^``flask|\Z)", text, re.M | re.S
        )
        assert section, name
        options = re.findall(r"^\.\. option:: (--[\w-]+)", section[1], re.MULTILINE)
        under = command.commands.values() if isinstance(command, click.Group) else [command]
        known = [
            each.opts[0] for one in under for each in one.params if isinstance(each, click.Option)
        ]
        assert options == list(dict.fromkeys(known))
        if isinstance(command, click.Group):
            assert [one for one in command.commands if f"parjar {name} {one} " not in text] == []


def test_no_app_of_an_example_has_the_name_of_a_module_of_python() -> None:
    """Python would import its own, and find no app in it."""
    named = re.findall(r"--app (\w+)", EVERYTHING) + re.findall(r"gunicorn .*?(\w+):", EVERYTHING)
    files = re.findall(r":caption: (\w+)\.py$", EVERYTHING, re.MULTILINE)
    assert len(named) > 3 and len(files) > 3
    assert {*named, *files} & sys.stdlib_module_names == set()


def test_the_blocks_of_the_page_that_an_app_may_replace_are_named() -> None:
    template = (PACKAGE / "templates" / "parjar" / "page.html").read_text(encoding="utf-8")
    filled_in = re.findall(r"{% block (\w+) %}", template)
    section = PAGES["protecting"].partition("``parjar/page.html``")[2]
    assert filled_in and section
    assert [name for name in filled_in if f"``{name}``" not in section] == []


def test_the_readme_names_the_command_that_builds_the_pages() -> None:
    tox = (ROOT / "tox.ini").read_text(encoding="utf-8")
    environments = set(re.findall(r"^\[testenv:(\w+)\]$", tox, re.MULTILINE))
    assert set(re.findall(r"tox -e (\w+)", EVERYTHING)) <= environments
    assert "docs" in re.findall(r"tox -e (\w+)", README)


# Paths and layers.


def test_the_layers_are_those_of_the_contract() -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = {each["id"]: each for each in pyproject["tool"]["importlinter"]["contracts"]}
    held = [re.findall(r"\w+", layer) for layer in contracts["layers"]["layers"]]
    shown = [re.findall(r"``(\w+)``", row[0]) for row in simple_table("architecture", "Layer")]
    assert shown == held


def list_rows(page: str, *, last_heading: str = "File, and test") -> list[list[str]]:
    """The rows of a page's list-tables, each cell in one string; without the headings."""
    rows: list[list[str]] = []
    headings = PAGES[page].count(".. list-table::")
    for line in PAGES[page].splitlines():
        if line.startswith("   * - "):
            rows.append([line[7:]])
        elif rows and line.startswith("     - "):
            rows[-1].append(line[7:])
        elif rows and line.startswith("       "):
            rows[-1][-1] += f"\n{line[7:]}"
    found = [row for row in rows if row[-1] != last_heading]
    assert len(rows) - len(found) == headings > 0
    return found


def check_what_proves(section: str, cell: str, *, our_file: bool = True) -> None:
    """Whether the last cell of a row names a file of ours, and tests or faults that there are.

    A test is in the file that was named last before it.
    """
    files, proofs, text = 0, 0, ""
    for name in re.findall(r"(?:``|:fault:`)([\w./*]+)`", cell):
        path = ROOT / "tests" / name
        if path.name.startswith("test_") and name.endswith(".py"):
            text = path.read_text(encoding="utf-8")
        elif name.endswith(".py"):
            assert (PACKAGE / name).is_file(), f"{section}: {name}"
            files += 1
        elif name.startswith("test_"):
            assert re.search(rf"^(?:async )?def {name}\(", text, re.M), f"{section}: {name}"
            proofs += 1
        else:
            assert fnmatch.filter(FAULTS, name), f"{section}: no fault is named {name}"
            proofs += 1
    assert bool(files) == our_file, f"{section}: a file of ours"
    assert proofs, f"{section}: a test or a fault"


@pytest.mark.parametrize("page", ["standards", "security", "fapi"])
def test_files_and_tests_that_a_page_names_exist(page: str) -> None:
    rows = list_rows(page)
    assert len(rows) > 30
    for section, _, cell in rows:
        check_what_proves(section, cell)


def test_tests_that_the_page_on_failures_names_exist() -> None:
    rows = list_rows("deploying", last_heading="Test")
    assert len(rows) > 25
    for operation, promise, cell in rows:
        check_what_proves(f"{operation}: {promise}", cell, our_file=False)
    folder = ROOT / "tests" / "distributed"
    for path in map(folder.joinpath, ("test_redis_fails.py", "test_workers_die.py")):
        tests = set(re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE))
        assert tests and tests <= set(re.findall(r"\w+", PAGES["deploying"]))


def test_times_and_sizes_on_the_pages_are_those_of_the_code() -> None:
    text = {page: " ".join(content.split()) for page, content in PAGES.items()}
    assert f"after {TRUSTED_FOR} seconds" in text["sessions"]
    assert TRUSTED_FOR == 5 and "five seconds" in text["logout"]
    assert TRUSTED_IN_AN_OUTAGE == 60 and "one minute" in text["deploying"]
    assert RENEWAL_MARGIN == 30 and "alf a minute" in text["tokens"]
    assert f"{CHUNK:,} characters" in text["sessions"]


def test_how_long_a_way_back_may_be_is_on_a_page() -> None:
    assert f"{MAX_RETURN_PATH:,} characters" in EVERYTHING


def test_the_page_says_what_is_in_the_realm_file_of_keycloak() -> None:
    """Keycloak imports no file whose name is not that of its realm."""
    realm = json.loads((ROOT / "docs" / "keycloak-realm.json").read_text(encoding="utf-8"))
    text = PAGES["providers"]
    assert f"data/import/{realm['realm']}-realm.json\n" in text
    assert f"FLASK_PARJAR_ISSUER=http://127.0.0.1:8080/realms/{realm['realm']}\n" in text
    (client,) = realm["clients"]
    assert f"FLASK_PARJAR_CLIENT_ID={client['clientId']}\n" in text
    for user in realm["users"]:
        assert f"``{user['username']}``" in text
        assert f"``{user['credentials'][0]['value']}``" in text


def test_every_published_weakness_is_shown() -> None:
    """The table shows each test of the file, in the words of its docstring."""
    assert PAGES["security"].count("\n.. published-weaknesses::\n") == 1
    tree = ast.parse((ROOT / "tests" / "test_advisories.py").read_text(encoding="utf-8"))
    tests = [each for each in ast.walk(tree) if getattr(each, "name", "").startswith("test_")]
    assert len(tests) > 15
    for test in tests:
        assert test in tree.body and isinstance(test, ast.FunctionDef)
        assert ast.get_docstring(test), test.name


def test_every_section_of_the_fault_table_is_shown() -> None:
    shown = re.findall(r"^(.+)\n-+\n\n\.\. fault-table:: (.+)$", PAGES["faults"], re.MULTILINE)
    assert shown == [(section, section) for section in FAULT_TABLE]


def test_the_interop_table_has_what_the_interop_tests_show_and_no_more() -> None:
    """That they show it is checked by each run of them."""
    marks = set()
    for path in sorted((ROOT / "tests" / "interop").glob("test_*.py")):
        module = importlib.import_module(f"tests.interop.{path.stem}")
        tests = [test for name, test in vars(module).items() if name.startswith("test_")]
        marks |= {mark for test in tests for mark in marked(test)}
    table = read_table()
    assert {(*where, result) for where, result in table.items()} == marks
    assert {where for where in table if where[0] not in PROVIDERS} == set()
    assert {feature for _, feature in table} <= {*FEATURES}
    assert {*table.values()} <= {WORKS, ABSENT, *CODES}
    assert "\n.. interop-table::\n" in PAGES["interop"]


def test_the_page_of_the_conformance_tests_has_every_plan_and_every_module() -> None:
    page, plans = PAGES["conformance"], CONFORMANCE["plans"]
    assert set(re.findall(r"^\S.*: ``([\w-]+)``\n-+$", page, re.MULTILINE)) == set(plans)
    shown = re.findall(r"^\.\. conformance-table:: (\S+)$", page, re.MULTILINE)
    assert {module for plan in shown for module in plans[plan]} == set(CONFORMANCE_ROWS)


def test_every_fault_after_a_login_is_documented() -> None:
    table = PAGES["faults"].partition("\nAfter the login\n")[2]
    assert set(re.findall(r"``((?:refresh|revocation)_\w+)``", table)) == set(REFRESH_FAULTS)


def test_every_file_named_on_a_page_exists() -> None:
    paths = {
        path
        for page in ("security", "decisions", "architecture", "contributing")
        for path in re.findall(r"``((?:\w+/)*\w+\.py)``", PAGES[page])
    }
    assert len(paths) > 15
    homes = (PACKAGE, PACKAGE.parent, ROOT, ROOT / "tests")
    missing = {path for path in paths if not any((home / path).exists() for home in homes)}
    assert missing == {"jose.py", "stores/sealed.py"}  # plans that a decision departs from


def test_links_of_the_readme_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README) + re.findall(r'(?:src|srcset)="([^"]+)"', README)
    inside = [link for link in links if "://" not in link]
    assert len(inside) > 15
    assert [link for link in inside if not (ROOT / link).is_file()] == []
    pages = [page for page in PAGES if "/" not in page or page.endswith("/index")]
    assert {f"docs/{page}.rst" for page in pages} - set(links) == {
        "docs/index.rst",
        "docs/api.rst",
        "docs/changelog.rst",
    }


# Examples.

EXAMPLES = (
    "administration",
    "configuration",
    "protecting",
    "providers",
    "several-providers",
    "sessions",
    "tokens",
    "deploying",
    "signals",
    "errors",
)


def test_no_example_is_forgotten() -> None:
    with_python = {page for page, text in PAGES.items() if ".. code-block:: python" in text}
    of_extensions = {page for page in with_python if page.startswith("extensions/")}
    assert {page for page in PAGES if page.startswith("extensions/")} - of_extensions == {
        "extensions/index"
    }
    assert with_python - of_extensions == {  # tests/test_extensions.py runs those
        *EXAMPLES,
        *("encryption", "signed-responses", "signers", "quickstart", "testing", "presets"),
        *("moving", "moving-from-authlib", "moving-from-flask-oidc"),
        *("moving-from-flask-pyoidc", "moving-from-flask-dance"),
    }


def test_the_settings_for_encryption_are_accepted(in_keys: Path) -> None:
    given: dict[str, Any] = {}
    for block in blocks("encryption", "python"):
        run(block.text, given, page="encryption")
        config = {name: value for name, value in given.items() if name.startswith("PARJAR_")}
        app = app_of_a_page(DevProvider())
        (client,) = read_settings({**app.config, **config}, secret_key="x").providers.values()
        assert [jwk["alg"] for jwk in client.public_jwks if jwk["use"] == "enc"] == [
            "ECDH-ES+A256KW"
        ]
    assert len(client.encryption_keys) == 2
    assert (client.request_encryption_alg, client.request_encryption_enc) == (
        "RSA-OAEP-256",
        "A256GCM",
    )


def test_the_settings_for_signed_responses_are_accepted(in_keys: Path) -> None:
    for block in blocks("signed-responses", "python"):
        given: dict[str, Any] = {}
        run(block.text, given, page="signed-responses")
        config = {name: value for name, value in given.items() if name.startswith("PARJAR_")}
        app = app_of_a_page(DevProvider())
        (client,) = read_settings({**app.config, **config}, secret_key="x").providers.values()
        assert client.response_mode == "jwt"
    assert client.response_encryption is not None


def app_of_a_page(provider: DevProvider) -> Flask:
    app = Flask("example")
    app.config.update(SECRET_KEY="of the tests", **provider.config())
    return app


@pytest.mark.parametrize("page", EXAMPLES)
def test_examples_run_and_the_app_still_logs_in(page: str, in_keys: Path) -> None:
    provider = DevProvider()
    app, parjar = app_of_a_page(provider), ParJar()
    namespace: dict[str, Any] = {"app": app, "parjar": parjar, "__name__": page}
    config = dict(app.config)
    for block in blocks(page, "python"):
        if not re.match(r"PARJAR_\w+ = ", block.text):  # those are tried one by one above
            run(block.text, namespace, page=page)
    if page in ("sessions", "several-providers"):
        assert "parjar" in app.extensions
        return  # a Redis, and providers, that are not here
    if "PARJAR_STORE" in app.config:
        open_store(app.config["PARJAR_STORE"], prefix="", timeout=1)
        app.config["PARJAR_STORE"] = "memory"  # that Redis is not here either
    app.config.update(config)
    parjar.init_app(app)
    provider.connect(app)
    assert Visitor(app, provider).log_in().status_code == 302


def test_the_example_of_guards_does_what_the_page_says(in_keys: Path) -> None:
    provider = DevProvider()
    app, parjar = app_of_a_page(provider), ParJar()
    namespace: dict[str, Any] = {"app": app, "parjar": parjar, "__name__": "site_of_a_page"}
    for block in blocks("protecting", "python"):
        run(block.text, namespace, page="protecting")
    parjar.init_app(app)
    provider.connect(app)
    visitor = Visitor(app, provider)
    assert visitor.get("/account").location == "/login?next=/account"
    script = {"Accept": "application/json"}
    (shown,) = blocks("protecting", "json")
    assert visitor.get("/orders", headers=script).json == json.loads(shown.text)
    assert visitor.leave("/transfer/confirm").startswith(provider.issuer)
    visitor.log_in()
    assert visitor.get("/account").json == {"name": "Ada Lovelace", "email": "ada@people.example"}
    refused = visitor.get("/reports", headers=script).json
    assert json.dumps(refused) in PAGES["errors"]
    answers = {path: visitor.get(path).status_code for path in ("/acme", "/admin/", "/my-orders")}
    assert answers == {"/acme": 403, "/admin/": 403, "/my-orders": 200}


def test_the_example_of_tokens_does_what_the_page_says(in_keys: Path) -> None:
    provider = DevProvider()
    app, parjar = app_of_a_page(provider), ParJar()
    namespace: dict[str, Any] = {"app": app, "parjar": parjar, "__name__": "site_with_tokens"}
    for block in blocks("tokens", "python"):
        run(block.text, namespace, page="tokens")
    app.config["PARJAR_STORE"] = "memory"
    parjar.init_app(app)
    provider.connect(app)
    visitor = Visitor(app, provider)
    assert visitor.get("/badge").json == {"orders": None}
    assert visitor.get("/orders").location == "/login?next=/orders"
    provider.access_token_seconds = 0  # over at once, and renewed for each who asks
    visitor.log_in()
    provider.calls.clear()
    assert [visitor.get("/badge").json for _ in range(2)] == [{"orders": 3}] * 2
    assert [call.endpoint for call in provider.calls] == ["token"] * 2
    with provider.fault("refresh_503"):
        assert visitor.get("/badge").json == {"orders": "unknown for the moment"}
    assert visitor.get("/transfer").location.startswith("/login?next=/transfer&step_up=")
    visitor.log_in(visitor.get("/transfer").location)
    assert visitor.get("/transfer").json == {"proved by": ["pwd", "otp", "mfa"]}


def test_the_example_of_administration_does_what_the_page_says(in_keys: Path) -> None:
    provider = DevProvider()
    app, parjar = app_of_a_page(provider), ParJar()
    namespace: dict[str, Any] = {"app": app, "parjar": parjar, "__name__": "site_of_a_page"}
    for block in blocks("administration", "python"):
        run(block.text, namespace, page="administration")
    app.config["PARJAR_STORE"] = "memory"
    parjar.init_app(app)
    provider.connect(app)
    provider.people["ada"].claims["groups"] = ["admins"]  # type: ignore[index]
    admin, *others = (Visitor(app, provider) for _ in range(4))
    admin.log_in()
    for each in others:
        each.log_in(person="grace")
    page = admin.get("/admin/sessions/grace").text
    (first, *_), buttons = re.findall(r'action="([^"]+/end/\w+)"', page), page.count("<button>")
    assert buttons == 4 and "(this one)" not in page
    assert "(this one)" in admin.get("/admin/sessions/ada").text
    assert others[0].post(first).status_code == 403
    assert admin.post(first).location == "/admin/sessions/grace"
    assert admin.post(first).status_code == 404
    assert admin.get("/admin/sessions/grace").text.count("<button>") == 3
    assert admin.post("/admin/sessions/grace/end").status_code == 302
    assert [each.get("/admin/sessions/ada").status_code for each in others] == [302] * 3


def test_the_audit_log_of_the_page_has_what_happens(
    in_keys: Path, caplog: pytest.LogCaptureFixture
) -> None:
    provider = DevProvider()
    app, parjar = app_of_a_page(provider), ParJar()
    parjar.init_app(app)
    provider.connect(app)
    app.add_url_rule("/admin", view_func=claims_required(groups="admins")(lambda: "admin"))
    namespace: dict[str, Any] = {"app": app, "parjar": parjar, "__name__": "audited"}
    for block in blocks("signals", "python"):
        run(block.text, namespace, page="signals")
    visitor = Visitor(app, provider)
    with caplog.at_level(logging.INFO, "my_site.audit"):
        visitor.log_in()
        visitor.get("/admin")
        visitor.post("/logout", headers={"Sec-Fetch-Site": "same-origin"})
        with provider.fault("token_error_invalid_grant"):
            visitor.log_in()
    lines = [json.loads(text) for name, _, text in caplog.record_tuples if name == "my_site.audit"]
    ada = {"issuer": provider.issuer, "sub": "ada", "session": lines[0]["session"]}
    assert lines == [
        {"event": "logged_in", **ada, "code": None},
        {"event": "access_refused", **ada, "code": "insufficient_claims"},
        {"event": "logged_out", **ada, "code": None},
        {
            "event": "login_failed",
            **{"issuer": provider.issuer, "sub": None, "session": None},
            "code": "code_refused",
        },
    ]


@pytest.mark.parametrize("page", ["README", "quickstart"])
def test_the_twelve_lines_are_a_site(
    page: str, in_keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (block,) = blocks(page, "python")
    assert len(block.text.strip().splitlines()) == 12
    settings = blocks(page, "ini")[-1].text
    for line in settings.splitlines():
        if line:
            monkeypatch.setenv(*line.split("=", 1))
    namespace: dict[str, Any] = {"__name__": "app"}
    run(block.text, namespace, page=page)
    provider = DevProvider()
    provider.connect(namespace["app"])
    visitor = Visitor(namespace["app"], provider)
    visitor.log_in(visitor.get("/").location)
    shown = {"hello": "Ada Lovelace"}
    assert visitor.get("/").json == shown
    assert page == "README" or json.dumps(shown) in PAGES["quickstart"]


_KEY_COMMAND = re.compile(r"^ *(?:\$ )?flask parjar (keys .*?)(?: > (\S+))?$", re.MULTILINE)


@pytest.mark.parametrize(
    "page, files",
    [
        ("README", ["key.pem"]),
        ("quickstart", ["key.pem"]),
        ("providers", ["rsa-key.pem", "public.pem", "jar-key.json"]),
        ("encryption", ["decryption-keys.json"]),
    ],
)
def test_the_commands_that_make_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: str, files: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    commands = _KEY_COMMAND.findall(README if page == "README" else PAGES[page])
    for command, file in commands:
        result = CliRunner().invoke(parjar_cli, shlex.split(command))
        assert result.exit_code == 0, result.output
        if file:
            (tmp_path / file).write_text(result.output)
    assert sorted(os.listdir(tmp_path)) == sorted(files)
    config = {"PARJAR_ISSUER": "https://id.example.com", "PARJAR_CLIENT_ID": "my-site"}
    for file in files:
        if file == "public.pem":
            assert "-----BEGIN PUBLIC KEY-----" in (tmp_path / file).read_text()
        elif page != "encryption":
            given = {**config, "PARJAR_SIGNING_KEY": file}
            (client,) = read_settings(given, secret_key="x").providers.values()
            assert (client.signing_keys[0].kid == "THE-KID") is (file == "jar-key.json")


def test_the_tests_of_the_page_on_testing_pass(tmp_path: Path) -> None:
    files = {block.caption: block.text for block in blocks("testing", "python")}
    assert list(files) == [
        "shop.py",
        "conftest.py",
        "test_shop.py",
        "test_guards.py",
        "test_strength.py",
        "test_bad_days.py",
        "test_request_level.py",
        "test_dpop.py",
        "test_tenants.py",
        "test_after_the_login.py",
        "test_api.py",
        "test_with_unittest.py",
    ]
    check_tests_of_a_page(tmp_path, files)


def test_the_tests_of_the_page_on_presets_pass(tmp_path: Path) -> None:
    files = {block.caption: block.text for block in blocks("presets", "python")}
    assert list(files) == ["test_like_our_provider.py", "test_our_own_preset.py"]
    shop = next(each.text for each in blocks("testing", "python") if each.caption == "shop.py")
    check_tests_of_a_page(tmp_path, {"shop.py": shop, **files})


def check_tests_of_a_page(tmp_path: Path, files: Mapping[str, str]) -> None:
    """Run the files of a page in a folder of their own: each test in them passes."""
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\npythonpath = .\n")
    environment: Mapping[str, str] = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    finished = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "2"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    tests = sum(len(re.findall(r"^ *def test_", text, re.M)) for text in files.values())
    assert f"{tests} passed" in finished.stdout, finished.stdout + finished.stderr


@pytest.mark.parametrize("page", PAGES)
def test_code_on_a_page_is_no_wider_than_the_page(page: str) -> None:
    code = [
        line
        for _, kind, _, body in RST_BLOCK.findall(PAGES[page])
        if kind != "console"
        for line in textwrap.dedent(body).splitlines()
    ]
    assert [line for line in code if len(line) > 84] == []
