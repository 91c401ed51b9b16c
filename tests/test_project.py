"""The workshop agrees with itself: what is written in two places says the same in both."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

import flask_parjar

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def pyproject() -> dict[str, Any]:
    parsed: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return parsed


def test_version_is_installed_and_in_the_changes() -> None:
    written = flask_parjar.__version__
    assert version("Flask-ParJar") == written
    heading = rf"^{re.escape(written)}\n-+\n"
    assert re.search(heading, (ROOT / "CHANGES.rst").read_text(encoding="utf-8"), re.MULTILINE)


def test_min_environment_has_the_lower_bounds(pyproject: dict[str, Any]) -> None:
    environment = (ROOT / "tox.ini").read_text(encoding="utf-8").split("[testenv:min]")[1]
    pins = dict(re.findall(r"^    ([\w-]+)==([\d.]+)$", environment.split("[testenv")[0], re.M))
    bounds = [re.fullmatch(r"([\w-]+)>=([\d.]+)", d) for d in pyproject["project"]["dependencies"]]
    assert bounds and all(bounds), "lower bounds only"
    for bound in filter(None, bounds):
        pinned = pins[bound[1]]
        assert f"{pinned}.0.0".startswith(f"{bound[2]}."), f"{bound[0]}, but min has {pinned}"


def test_hooks_and_style_pin_the_same_tools(pyproject: dict[str, Any]) -> None:
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    pinned = dict(re.findall(r'"([\w-]+)==([\d.]+)"', hooks))
    style = dict(pin.split("==") for pin in pyproject["dependency-groups"]["style"])
    assert style
    assert {tool: pinned[tool] for tool in style} == style


def test_no_folder_is_forgotten_by_the_flask_contract(pyproject: dict[str, Any]) -> None:
    contracts = {c["id"]: c for c in pyproject["tool"]["importlinter"]["contracts"]}
    package = Path(flask_parjar.__path__[0])
    folders = {f"flask_parjar.{f.parent.name}" for f in package.glob("*/__init__.py")}
    assert folders - {f"flask_parjar.{each}" for each in ("testing", "web", "cli")} == set(
        contracts["no-flask"]["source_modules"]
    )


def test_no_module_is_forgotten_by_the_contract_below_the_agreement(
    pyproject: dict[str, Any],
) -> None:
    contracts = {c["id"]: c for c in pyproject["tool"]["importlinter"]["contracts"]}
    protocol = Path(flask_parjar.__path__[0]) / "protocol"
    modules = {f"flask_parjar.protocol.{file.stem}" for file in protocol.glob("*.py")}
    above = {f"flask_parjar.protocol.{each}" for each in ("client", "metadata", "agreement")}
    package = {"flask_parjar.protocol.__init__"}
    assert modules - above - package | {"flask_parjar.flows"} == set(
        contracts["below-the-agreement"]["source_modules"]
    )


def test_no_line_of_the_package_asks_for_the_version_of_python() -> None:
    """So the coverage that tox.ini measures on one version holds for all of them."""
    asks = re.compile(r"\b(version_info|hexversion|python_version\w*|sys\.version)\b")
    files = list(Path(flask_parjar.__path__[0]).rglob("*.py"))
    assert [file for file in files if asks.search(file.read_text(encoding="utf-8"))] == []


def test_readme_has_each_command_once() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    for module in ("example_app", "pytest"):
        command = re.compile(rf"python3 -m venv .* -m {module}( .*)?")
        assert len([line for line in lines if command.fullmatch(line)]) == 1, module


def test_text_for_pypi_has_no_link_into_the_repository(pyproject: dict[str, Any]) -> None:
    text = (ROOT / pyproject["project"]["readme"]).read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)]+)\)", text) + re.findall(r'(?:href|src|srcset)="([^"]+)"', text)
    assert [link for link in links if not link.startswith("https://")] == []


def test_text_for_pypi_shows_the_code_of_the_readme(pyproject: dict[str, Any]) -> None:
    pypi = (ROOT / pyproject["project"]["readme"]).read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    fenced = re.compile(r"^```(?:python|ini)\n.*?^```$", re.MULTILINE | re.DOTALL)
    shown = fenced.findall(pypi)
    assert len(shown) == 2
    assert set(shown) <= set(fenced.findall(readme))


def test_nothing_but_the_cli_imports_testing() -> None:
    files = (Path(flask_parjar.__path__[0]) / "cli").glob("*.py")
    modules = ", ".join(f"flask_parjar.cli.{file.stem}" for file in files)
    look = f"import sys, {modules}; print('flask_parjar.testing' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", look], cwd=ROOT, capture_output=True, text=True)
    assert (answer.stdout.strip(), answer.stderr) == ("False", "")
