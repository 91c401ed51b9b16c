"""The list of modules is read from the annotations of the suite: shown with made-up plans."""

from __future__ import annotations

import re

import pytest

from tests.conformance.list_modules import FIXED, MODULES, PLANS, REPOSITORY, VARIED, list_modules
from tests.conformance.table import MODULES as LISTED


def module(name: str, test: str, more: str = "", parent: str = "Base") -> str:
    return f"""
        // @PublishTestModule of a comment
        @PublishTestModule(
            testName = "{test}",
            summary = "see https://standard.example/"
        )
        {more}
        public class {name} extends {parent} {{ }}
    """


def plan(name: str, body: str) -> str:
    annotation = f'@PublishTestPlan(testPlanName = "{name}")'
    return f"{annotation} public class A implements TestPlan {{ {body} }}"


def made_up() -> dict[str, str]:
    """A source for each plan, and for the modules that they name."""
    basic, later, *others = PLANS
    absent = '@VariantNotApplicable(parameter = {}.class, values = {{ "{}", "x" }})'
    return {
        **{f"Other{place}": plan(name, "OneTest.class") for place, name in enumerate(others)},
        "BasicTestPlan": plan(
            basic,
            """
            List.of(TwoTest.class, // ThreeTest.class,
                /* OneTest.class, */ OneTest.class, PlainTest.class, OnlyTest.class, Helper.class)
            """,
        ),
        "LaterTestPlan": plan(later, "of(BasicTestPlan.modules); modules.remove(TwoTest.class);"),
        "Base": "public abstract class Base extends Framework { }",
        "OneTest": module("OneTest", "one"),
        "TwoTest": module("TwoTest", "two", absent.format("FAPIResponseMode", "jarm")),
        "ThreeTest": module("ThreeTest", "three"),
        "PlainTest": module("PlainTest", "plain", absent.format("FAPIClientType", "oidc")),
        "OnlyTest": module("OnlyTest", "only", parent="TwoTest"),
        "Helper": "public class Helper { }",
    }


def test_the_modules_of_a_plan() -> None:
    found = list_modules(made_up())
    without_jarm = {"FAPIResponseMode": ["jarm", "x"]}
    assert list(found) == list(PLANS)
    assert found[PLANS[0]] == {"two": without_jarm, "one": {}, "only": without_jarm}
    assert list(found[PLANS[0]]) == ["two", "one", "only"]
    assert found[PLANS[1]] == {"one": {}, "only": without_jarm}


def test_a_plan_that_is_not_there_any_more() -> None:
    sources = made_up()
    del sources["BasicTestPlan"]
    with pytest.raises(KeyError, match="basic"):
        list_modules(sources)


def test_what_is_written_down_says_where_it_is_from() -> None:
    assert MODULES.exists() and LISTED["repository"] == REPOSITORY
    assert re.fullmatch("[0-9a-f]{40}", LISTED["commit"])
    assert LISTED["fixed"] == FIXED and list(LISTED["plans"]) == list(PLANS)
    absent = [parameters for plan in LISTED["plans"].values() for parameters in plan.values()]
    assert {name for parameters in absent for name in parameters} == set(VARIED)
