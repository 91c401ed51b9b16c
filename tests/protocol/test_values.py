"""What holds for every value of protocol/: frozen, slotted, made by name."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil

import pytest

import flask_parjar.protocol as protocol

MODULES = [
    importlib.import_module(f"{protocol.__name__}.{module.name}")
    for module in pkgutil.iter_modules(protocol.__path__)
]
VALUES = [
    value
    for module in MODULES
    for _, value in inspect.getmembers(module, dataclasses.is_dataclass)
    if inspect.isclass(value) and value.__module__ == module.__name__
]

#: One field each, and no way to mistake it.
BY_POSITION = {"BearerToken", "KeySet", "ResponseParameters"}


def test_there_are_some() -> None:
    assert len(VALUES) > 15
    assert {value.__name__ for value in VALUES} > BY_POSITION


@pytest.mark.parametrize("value", VALUES, ids=lambda value: value.__name__)
def test_a_value_is_frozen_and_slotted_and_made_by_name(value: type) -> None:
    assert value.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert "__slots__" in vars(value)
    kinds = {parameter.kind for parameter in inspect.signature(value).parameters.values()}
    by_name = kinds == {inspect.Parameter.KEYWORD_ONLY}
    assert by_name or value.__name__ in BY_POSITION


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__.rpartition(".")[2])
def test_the_tests_mirror_the_folder(module: object, request: pytest.FixtureRequest) -> None:
    name = getattr(module, "__name__", "").rpartition(".")[2]
    assert (request.path.parent / f"test_{name}.py").is_file()
