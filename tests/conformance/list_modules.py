"""Write modules.json: the client test modules of the OpenID Foundation that this folder mirrors.

``python -m tests.conformance.list_modules PATH_OF_A_CLONE`` reads the annotations of the plans and
of the modules in a clone of the conformance suite (also a bare one). It takes names alone: of the
plans, of the modules, and of the variants for which a module does not exist.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

REPOSITORY = "https://gitlab.com/openid/conformance-suite"
MODULES = Path(__file__).with_name("modules.json")
#: The plans for the code flow of a client that is registered by hand.
PLANS = (
    "oidcc-client-basic-certification-test-plan",
    "oidcc-client-config-certification-test-plan",
    "oidcc-client-formpost-basic-certification-test-plan",
    "oidcc-client-refreshtoken-test-plan",
    "oidcc-client-rp-initiated-logout-rp-basic",
    "oidcc-client-back-channel-logout-rp-basic",
    "oidcc-client-front-channel-logout-rp-basic",
    "oidcc-client-test-3rd-party-init-login-test-plan",
    "fapi2-security-profile-final-client-test-plan",
    "fapi2-message-signing-final-client-test-plan",
)
#: What is the same in all of them, by the names of the suite. A module that does not exist for one
#: of these is left out.
FIXED = {
    "ResponseType": "code",
    "ClientRegistration": "static_client",
    "FAPI2FinalOPProfile": "plain_fapi",
    "FAPIClientType": "oidc",
}
#: What is not the same in all of them.
VARIED = ("FAPIResponseMode", "FAPI2SenderConstrainMethod")

_COMMENT = re.compile(r"/\*(?:.|\n)*?\*/|(?:^|(?<=[\s,;{(]))//.*")
_NAME = re.compile(r'(?:testPlanName|testName)\s*=\s*"([^"]+)"')
_CLASS = re.compile(r"\bclass\s+(\w+)(?:\s+extends\s+(\w+))?")
#: A module, one that is taken away, or another plan whose modules are meant.
_ENTRY = re.compile(r"\.remove\(\s*(\w+)\.class|\b(\w+)\.class\b|\b(\w+TestPlan)\b\s*(?:\(\)\.|\.)")
_ABSENT = re.compile(
    r"@VariantNotApplicable\(\s*parameter\s*=\s*(\w+)\.class,\s*values\s*=\s*(\{[^}]*\}|\"[^\"]*\")"
)

#: The source of each class, by its name.
Sources = Mapping[str, str]


def list_modules(sources: Sources) -> dict[str, dict[str, dict[str, list[str]]]]:
    """The modules of each plan in their order, and the variants for which one does not exist.

    :raises KeyError: a plan or a module is not in the sources.
    """
    classes = {
        found[1]: name
        for name, source in sources.items()
        if "@PublishTestPlan" in source and (found := _NAME.search(source))
    }
    return {plan: _modules(classes[plan], sources) for plan in PLANS}


def _modules(plan: str, sources: Sources) -> dict[str, dict[str, list[str]]]:
    found: dict[str, dict[str, list[str]]] = {}
    for module in _module_classes(plan, sources):
        absent = _absent(module, sources)
        if any(value in absent.get(parameter, ()) for parameter, value in FIXED.items()):
            continue
        name = _NAME.search(sources[module])
        if name is None:
            raise KeyError(f"{module} has no testName")
        found[name[1]] = {key: absent[key] for key in VARIED if key in absent}
    return found


def _module_classes(plan: str, sources: Sources) -> list[str]:
    """The modules that a plan names, also by way of another plan."""
    source, classes = _without_comments(sources[plan]), list[str]()
    for removed, named, other in _ENTRY.findall(source[source.index("@PublishTestPlan") :]):
        if removed in classes:
            classes.remove(removed)
        elif named and "@PublishTestModule" in sources.get(named, ""):
            classes.append(named)
        elif other and other != plan and "@PublishTestPlan" in sources.get(other, ""):
            classes += [each for each in _module_classes(other, sources) if each not in classes]
    return classes


def _absent(module: str, sources: Sources) -> dict[str, list[str]]:
    """The values of each parameter for which a module does not exist, with those it inherits."""
    source = _without_comments(sources[module])
    absent = {
        parameter: re.findall(r'"([^"]+)"', values) for parameter, values in _ABSENT.findall(source)
    }
    declared = next(found for found in _CLASS.finditer(source) if found[1] == module)
    parent = declared[2]
    return {**(_absent(parent, sources) if parent in sources else {}), **absent}


def _without_comments(source: str) -> str:
    return _COMMENT.sub("", source)


def read_clone(clone: str) -> tuple[str, dict[str, str]]:
    """The commit of a clone, and the source of each Java class in it that is a plan or a module."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", clone, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    paths = git("ls-tree", "-r", "--name-only", "HEAD", "src/main/java").splitlines()
    named = {Path(path).stem: path for path in paths if "lient" in path and path.endswith(".java")}
    return git("rev-parse", "HEAD").strip(), {
        name: git("show", f"HEAD:{path}") for name, path in named.items() if _concerns_us(path)
    }


def _concerns_us(path: str) -> bool:
    return "/openid/client/" in path or "/fapi2spfinal/" in path


def main(clone: str) -> None:
    commit, sources = read_clone(clone)
    document: dict[str, Any] = {
        "repository": REPOSITORY,
        "commit": commit,
        "fixed": FIXED,
        "plans": list_modules(sources),
    }
    MODULES.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
