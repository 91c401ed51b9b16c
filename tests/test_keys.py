"""``flask parjar keys``: files of keys, as an operator makes and replaces them."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from joserfc.jwk import ECKey, RSAKey

from flask_parjar.cli import parjar_cli
from flask_parjar.config import read_settings
from flask_parjar.testing import DevProvider
from tests.support.clock import WallClock
from tests.support.site import make_site

POSIX = os.name == "posix"


def run(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(parjar_cli, ["keys", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    assert "Traceback" not in result.output
    assert "PRIVATE KEY" not in result.output
    assert '"d"' not in result.output
    return result


def ok(*arguments: str | Path) -> str:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.output


def states(output: str) -> list[str]:
    return [line.split()[0] for line in output.splitlines()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


@pytest.mark.parametrize("name", ["keys.json", "key.pem"])
@pytest.mark.parametrize("kind", ["P-256", "RSA", "Ed25519"])
def test_a_new_key_can_be_used(tmp_path: Path, name: str, kind: str) -> None:
    path = tmp_path / name
    output = ok("new", path, "--type", kind)
    assert kind in output
    if POSIX:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    config = {"PARJAR_ISSUER": "https://op.example", "PARJAR_CLIENT_ID": "site"}
    settings = read_settings({**config, "PARJAR_SIGNING_KEY": path}, secret_key="of the tests")
    key = settings.providers["default"].signing_keys[0]
    assert (key.crv or key.kty) == kind
    assert str(key.kid) in output


def test_a_file_of_keys_that_decrypt(path: Path) -> None:
    ok("new", path, "--use", "enc", "--type", "x25519")
    config = {
        "PARJAR_ISSUER": "https://op.example",
        "PARJAR_CLIENT_ID": "site",
        "PARJAR_SIGNING_KEY": ECKey.generate_key("P-256").as_dict(private=True),
        "PARJAR_ENCRYPTION_KEY": str(path),
    }
    settings = read_settings(config, secret_key="of the tests")
    assert [key.kind for key in settings.providers["default"].encryption_keys] == ["X25519"] * 2
    ok("rotate", path, "--after", "0")
    assert len(read_settings(config, secret_key="x").providers["default"].encryption_keys) == 3
    assert len(json.loads(ok("public", path))["keys"]) == 1


def test_a_life_of_keys(path: Path, wall_clock: WallClock) -> None:
    assert states(ok("new", path)) == ["active", "next"]
    refused = run("rotate", path)
    assert (refused.exit_code, "wait 86" in refused.output) == (1, True)
    wall_clock.turn(86400)
    assert states(ok("rotate", path)) == ["active", "next", "retired"]
    assert states(ok("list", path)) == ["active", "next", "retired"]
    assert states(ok("prune", path)) == ["active", "next", "retired"]
    wall_clock.turn(7 * 86400)
    assert states(ok("prune", path)) == ["active", "next"]
    assert len(json.loads(ok("public", path))["keys"]) == 2
    assert os.listdir(path.parent) == ["keys.json"]


def test_the_key_of_another_file_becomes_the_active_one(tmp_path: Path, path: Path) -> None:
    pem = tmp_path / "key.pem"
    before = ok("new", pem, "--type", "RSA").split()[-1]
    output = ok("new", path, "--from", pem)
    assert output.splitlines()[0].split()[-1] == before
    hint = run("rotate", pem)
    assert (hint.exit_code, "--from" in hint.output) == (1, True)


def test_the_kid_that_a_provider_gave(tmp_path: Path, path: Path) -> None:
    pem = tmp_path / "key.pem"
    ok("new", pem)
    output = ok("new", path, "--from", pem, "--kid", "of-the-provider")
    assert output.splitlines()[0].split()[-1] == "of-the-provider"
    refused = run("new", tmp_path / "other.pem", "--kid", "x")
    assert (refused.exit_code, (tmp_path / "other.pem").exists()) == (2, False)


def test_the_public_half_of_a_pem(tmp_path: Path) -> None:
    pem = tmp_path / "key.pem"
    pem.write_bytes(RSAKey.generate_key(2048).as_pem(private=True))
    assert ok("public", pem, "--pem").startswith("-----BEGIN PUBLIC KEY-----")
    assert [jwk["kty"] for jwk in json.loads(ok("public", pem))["keys"]] == ["RSA"]


@pytest.mark.skipif(not POSIX, reason="permissions are those of POSIX")
def test_a_rotation_keeps_the_permissions_and_a_link(tmp_path: Path, path: Path) -> None:
    ok("new", path)
    path.chmod(0o640)
    link = tmp_path / "link.json"
    link.symlink_to(path)
    ok("rotate", link, "--after", "0")
    assert link.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert states(ok("list", path)) == ["active", "next", "retired"]


def test_two_commands_at_once(path: Path) -> None:
    ok("new", path)
    text = path.read_text(encoding="utf-8")
    beside = path.with_name("keys.json.new")
    beside.write_text("of the other command", encoding="utf-8")
    refused = run("rotate", path, "--after", "0")
    assert (refused.exit_code, str(beside) in refused.output) == (1, True)
    assert path.read_text(encoding="utf-8") == text
    assert beside.read_text(encoding="utf-8") == "of the other command"


@pytest.mark.parametrize("fails_at", [1, 2], ids=["the new file", "its text"])
def test_a_disk_that_is_full_leaves_all_as_it_was(
    path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int
) -> None:
    ok("new", path)
    text, calls = path.read_text(encoding="utf-8"), []

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == fails_at:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    refused = run("rotate", path, "--after", "0")
    assert refused.exit_code == 1
    assert path.read_text(encoding="utf-8") == text
    assert os.listdir(path.parent) == ["keys.json"]


@pytest.mark.parametrize("command", ["list", "public", "rotate", "prune"])
@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe", b"{", b'{"keys": []}', b"{}"])
def test_a_file_that_is_of_no_use(path: Path, command: str, content: bytes | None) -> None:
    if content is not None:
        path.write_bytes(content)
    if (command, content) == ("public", b'{"keys": []}'):
        assert json.loads(ok("public", path)) == {"keys": []}
        return
    refused = run(command, path)
    assert (refused.exit_code, str(path) in refused.output) == (1, True)
    assert (path.read_bytes() if path.exists() else None) == content
    assert not path.with_name("keys.json.new").exists()


@pytest.mark.parametrize(
    "command", [("new", "there.json"), ("new", "no/such/folder.json"), ("rotate", "no/such.json")]
)
def test_a_place_where_nothing_can_be_written(tmp_path: Path, command: tuple[str, str]) -> None:
    (tmp_path / "there.json").write_text("mine", encoding="utf-8")
    refused = run(command[0], tmp_path / command[1])
    assert (refused.exit_code, command[1].rsplit("/")[-1] in refused.output) == (1, True)
    assert (tmp_path / "there.json").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(
    "arguments",
    [
        ("new", "x.json", "--use", "enc", "--type", "Ed25519"),
        ("new", "x.json", "--type", "DSA"),
        ("rotate", "x.json", "--after", "-1"),
        ("new",),
    ],
)
def test_a_command_that_is_used_wrongly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*arguments).exit_code == 2
    assert os.listdir(tmp_path) == []


def test_the_public_keys_of_the_app(provider: DevProvider) -> None:
    app = make_site(provider)
    result = app.test_cli_runner().invoke(args=["parjar", "jwks"])
    assert result.exit_code == 0
    assert json.loads(result.output) == app.test_client().get("/.well-known/jwks.json").json
    with app.app_context():  # as Flask enters it for a command of the app itself
        again = CliRunner().invoke(parjar_cli, ["jwks"])
    assert again.output == result.output
