"""A file of keys that is replaced while the site runs: each process follows."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from flask import Flask
from joserfc.jwk import ECKey

from flask_parjar.cli import parjar_cli
from flask_parjar.config import FollowedSettings, key_paths
from flask_parjar.errors import ConfigError
from flask_parjar.testing import DevProvider
from tests.support.clock import Clock
from tests.support.jwt import read_jwt
from tests.support.site import Visitor, make_site


def keys(*arguments: str | Path) -> None:
    result = CliRunner().invoke(parjar_cli, ["keys", *map(str, arguments)])
    assert result.exit_code == 0, result.output


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "keys.json"
    keys("new", path)
    return path


def config(path: Path, **more: Any) -> dict[str, Any]:
    return {
        "PARJAR_ISSUER": "https://op.example",
        "PARJAR_CLIENT_ID": "site",
        "PARJAR_SIGNING_KEY": str(path),
        **more,
    }


def followed(clock: Clock, **config: Any) -> FollowedSettings:
    return FollowedSettings(config, secret_key="of the tests", clock=clock)


def kids(settings: FollowedSettings) -> list[str | None]:
    return [key.kid for key in settings.client("default").signing_keys]


def states(path: Path) -> dict[str, str]:
    listed = json.loads(path.read_text(encoding="utf-8"))["keys"]
    return {jwk["parjar_state"]: jwk["kid"] for jwk in listed}


def test_a_rotation_is_seen_within_a_second(key_file: Path) -> None:
    clock = Clock(0)
    settings = followed(clock, **config(key_file))
    before = states(key_file)
    assert kids(settings)[0] == before["active"]
    keys("rotate", key_file, "--after", "0")
    clock.now += 0.9
    assert kids(settings)[0] == before["active"]
    clock.now += 0.1
    assert kids(settings)[0] == before["next"] == states(key_file)["active"]
    assert kids(settings)[2:] == [before["active"]]


def test_what_did_not_change_is_not_read_again(key_file: Path) -> None:
    clock = Clock(0)
    settings = followed(clock, **config(key_file))
    first = settings.settings()
    clock.now += 5
    assert settings.settings() is first


@pytest.mark.parametrize(
    "spoil", [lambda path: path.write_text("{}"), lambda path: path.unlink()], ids=["text", "gone"]
)
def test_a_file_that_is_wrong_changes_nothing_and_is_told_once(
    key_file: Path, caplog: pytest.LogCaptureFixture, spoil: Callable[[Path], object]
) -> None:
    clock = Clock(0)
    settings = followed(clock, **config(key_file))
    before, text = kids(settings), key_file.read_text(encoding="utf-8")
    spoil(key_file)
    for _ in range(3):
        clock.now += 1
        assert kids(settings) == before
    errors = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert len(errors) == 1
    assert "PARJAR_SIGNING_KEY" in errors[0].getMessage()
    key_file.write_text(text, encoding="utf-8")
    keys("rotate", key_file, "--after", "0")
    clock.now += 1
    assert kids(settings) != before


class Signer:
    """A private key that lies elsewhere, which is away from the second look on."""

    alg = "ES256"

    def __init__(self) -> None:
        self.looks = 0

    @property
    def public_jwk(self) -> dict[str, Any]:
        self.looks += 1
        if self.looks > 5:
            raise ConnectionError("the service with the token t0psecret is away")
        return ECKey.generate_key("P-256").as_dict(private=False)

    def sign(self, data: bytes) -> bytes:
        raise NotImplementedError


def test_an_object_that_signs_and_cannot_be_asked_now(
    key_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock, signer = Clock(0), Signer()
    settings = followed(clock, **config(key_file, PARJAR_ASSERTION_KEY=signer))
    before = kids(settings)
    signer.looks = 5
    keys("rotate", key_file, "--after", "0")
    clock.now += 1
    assert kids(settings) == before
    assert "ConnectionError" in caplog.text
    assert "t0psecret" not in caplog.text


def test_a_pem_is_read_at_start_only(tmp_path: Path) -> None:
    """Another one in its place would sign before the provider knows it."""
    path = tmp_path / "key.pem"
    keys("new", path)
    clock = Clock(0)
    settings = followed(clock, **config(path))
    first = settings.settings()
    path.unlink()
    keys("new", path)
    clock.now += 5
    assert settings.settings() is first


def test_faults_at_start_are_told_as_ever(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="keys.json"):
        followed(Clock(0), **config(tmp_path / "keys.json"))


def test_which_files_have_keys(tmp_path: Path) -> None:
    key = ECKey.generate_key("P-256")
    assert key_paths(
        {
            "PARJAR_SIGNING_KEY": " signing.json ",
            "PARJAR_ASSERTION_KEY": key.as_dict(private=True),
            "PARJAR_ENCRYPTION_KEY": [
                "new.json",
                Path("old.json"),
                key.as_pem(private=True).decode(),
            ],
            "PARJAR_PROVIDERS": {
                "work": {"Signing_Key": "work.json", "issuer": "https://op.example"},
                "home": {"signing_key": "signing.json"},
                "wrong": None,
            },
        }
    ) == [Path(name) for name in ("signing.json", "new.json", "old.json", "work.json")]
    assert key_paths({"PARJAR_SIGNING_KEY": ' {"kty": "EC"}', "PARJAR_PROVIDERS": "x"}) == []
    assert key_paths({"PARJAR_SIGNING_KEY": ""}) == []


def turn(app: Flask, seconds: float) -> None:
    """Let time pass for the look at the files alone."""
    find = app.extensions["parjar"].providers["default"]._find_client
    followed = find.func.__self__
    followed._look_at -= seconds


def test_a_whole_login_with_each_key(provider: DevProvider, key_file: Path) -> None:
    """What is signed, what is published, and the client authentication follow."""
    app = make_site(provider, PARJAR_SIGNING_KEY=str(key_file))
    used = []
    for _ in range(3):
        provider.connect(app)  # which registers the keys that are published now
        visitor = Visitor(app, provider)
        assert visitor.log_in().status_code == 302
        assert visitor.get("/me").status_code == 200
        pushes = [each for each in provider.calls if "request" in each.form]
        used.append(read_jwt(pushes[-1].form["request"])[0]["kid"])
        tokens = [each for each in provider.calls if each.endpoint == "token"]
        assert read_jwt(tokens[-1].form["client_assertion"])[0]["kid"] == used[-1]
        published = visitor.get("/.well-known/jwks.json").json["keys"]
        assert used[-1] == published[0]["kid"]
        assert {jwk["kid"] for jwk in published} == {
            jwk["kid"] for jwk in json.loads(key_file.read_text(encoding="utf-8"))["keys"]
        }
        keys("rotate", key_file, "--after", "0")
        turn(app, 1)
    assert len(set(used)) == 3


def test_the_file_is_looked_at_by_its_place_and_time(key_file: Path) -> None:
    """A file of the same size and time, as a tool for secrets puts there, is another one."""
    clock = Clock(0)
    settings = followed(clock, **config(key_file))
    before, status = kids(settings), os.stat(key_file)
    text = key_file.read_text(encoding="utf-8")
    other = key_file.with_name("other.json")
    listed = json.loads(text)["keys"]
    swapped = json.dumps({"keys": listed[::-1]}, indent=2) + "\n"
    other.write_text(swapped, encoding="utf-8")
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    os.replace(other, key_file)
    assert os.stat(key_file).st_size == status.st_size
    clock.now += 1
    assert kids(settings) == before[::-1]
