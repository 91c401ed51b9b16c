"""Each check counts: without it, the row of the fault table that it answers for fails.

For a sample of the checks, a copy of the package is made in which that one check is edited out,
and the provider misbehaves at the copy. Where nothing else stands behind the check, the login now
succeeds; where something does, that refuses it, under a code of its own. ``tests/mutation`` asks
the same of every line, and takes its time.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

import flask_parjar
from tests.after_login import BAD_NOTICES, attempt_notice, attempt_renewal
from tests.fault_table import FAULTS

ROOT = Path(__file__).parent.parent
ROWS = {fault: row for section in FAULTS.values() for fault, row in section.items()}

ATTEMPT = """
import json, sys
import flask_parjar
from tests.faults import attempt
outcome = attempt(sys.argv[1])
print(json.dumps([flask_parjar.__file__, outcome.code, outcome.logged_in]))
"""


class Check(NamedTuple):
    """One check, and what becomes of a fault without it.

    :param text: what stands in the file, exactly once
    :param then: the code that the fault gets without the check, None for a login that succeeds
    """

    file: str
    text: str
    without: str
    fault: str
    then: str | None = None


CHECKS = [
    # Signed tokens.
    Check("jws.py", "if not genuine:", "if False:", "id_token_bad_signature"),
    Check("jws.py", "if not genuine:", "if False:", "jwks_same_kid_other_key"),
    Check("jws.py", "if name in header:", "if False:", "id_token_header_crit"),
    Check("jws.py", "if typ not in expected_typs:", "if False:", "id_token_typ_access_token"),
    Check(
        "jws.py",
        " or alg not in expected_algs:",
        ":",
        "id_token_hs256_with_public_key",
        then="token_key",  # the next door: no key of that kind was ever taken from the provider
    ),
    Check(
        "keys.py",
        "if len(fitting) == 1:",
        "if fitting:",
        "id_token_kid_missing",
        then="token_signature",  # the first key that fits is not the one that signed
    ),
    Check("keys.py", ' or jwk.get("use") not in (None, "sig"):', ":", "jwks_use_enc"),
    Check(
        "encoding.py", "if len(members) != len(pairs):", "if False:", "id_token_duplicated_member"
    ),
    # The ID token.
    Check("id_token.py", "verify_issuer(claims, transaction.issuer),", "", "id_token_iss_foreign"),
    Check("id_token.py", "verify_audience(claims, client),", "", "id_token_aud_foreign"),
    Check("id_token.py", "if strangers:", "if False:", "id_token_aud_list_with_stranger"),
    Check("id_token.py", " and azp != client.client_id:", " and False:", "id_token_azp_foreign"),
    Check(
        "id_token.py",
        "if now - skew >= expires:",
        "if False:",
        "id_token_expired",
        then="token_too_old",  # it was issued long ago, too
    ),
    Check(
        "id_token.py",
        "if max(issued, begins) > now + skew:",
        "if False:",
        "id_token_nbf_future",
    ),
    Check(
        "id_token.py",
        "if issued < now - skew - MAX_AGE_AT_ISSUE:",
        "if False:",
        "id_token_iat_absurdly_old",
    ),
    Check("id_token.py", "_verify_nonce(claims, transaction.nonce),", "", "id_token_nonce_wrong"),
    Check("id_token.py", "_verify_subject(claims),", "", "id_token_sub_too_long"),
    Check(
        "id_token.py",
        "*_verify_access_token_hash(claims, access_token, alg),",
        "",
        "id_token_at_hash_wrong",
    ),
    Check(
        "id_token.py",
        "if not -skew <= age <= transaction.max_age + skew:",
        "if False:",
        "id_token_auth_time_old",
    ),
    Check(
        "id_token.py",
        'if claims.get("acr") not in transaction.acr_values:',
        "if False:",
        "id_token_acr_other",
    ),
    # What surrounds it.
    Check("response.py", "issuer != transaction.issuer:", "False:", "response_iss_foreign"),
    Check("metadata.py", "if issuer != expected_issuer:", "if False:", "metadata_issuer_foreign"),
    Check(
        "userinfo.py",
        'if claims.get("sub") != expected_subject:',
        "if False:",
        "userinfo_sub_foreign",
    ),
]


AFTER_LOGIN = """
import json, sys
import flask_parjar
from tests import after_login
attempt = {"renewal": after_login.attempt_renewal, "notice": after_login.attempt_notice}
code, left = attempt[sys.argv[1]](sys.argv[2])
print(json.dumps([flask_parjar.__file__, code, left]))
"""
# The code that each gets with every check, where it is in no other table.
RENEWALS = {
    "refresh_other_issuer": "token_issuer",
    "refresh_other_subject": "token_subject",
    "id_token_aud_foreign": "token_audience",
    "id_token_expired": "token_expired",
    "id_token_nonce_wrong": "token_claim",
    "id_token_auth_time_old": "token_claim",
    "id_token_at_hash_wrong": "token_hash",
    "id_token_bad_signature": "token_signature",
}
NOTICES = {name: notice.code for name, notice in BAD_NOTICES.items()}
NOTICES["replay"] = "notice_repeated"


class LaterCheck(NamedTuple):
    """One check of what comes after a login; without it, what it is there for is taken.

    :param story: ``renewal`` or ``notice``
    """

    story: str
    file: str
    text: str
    without: str
    fault: str


LATER_CHECKS = [
    *(
        LaterCheck("renewal", "protocol/id_token.py", text, without, fault)
        for text, without, fault in (
            ("verify_issuer(claims, client.issuer)\n", "None\n", "refresh_other_issuer"),
            ("verify_audience(claims, client)\n", "None\n", "id_token_aud_foreign"),
            (
                "_verify_times(claims, now=now, skew=client.clock_skew)\n",
                "None\n",
                "id_token_expired",
            ),
            ('if claims["sub"] != expected_subject:', "if False:", "refresh_other_subject"),
            ('("nonce", "auth_time")', '("auth_time",)', "id_token_nonce_wrong"),
            ('("nonce", "auth_time")', '("nonce",)', "id_token_auth_time_old"),
            (
                '_verify_access_token_hash(claims, access_token, str(token.header["alg"]))\n',
                "None\n",
                "id_token_at_hash_wrong",
            ),
        )
    ),
    LaterCheck(
        "renewal", "protocol/jws.py", "if not genuine:", "if False:", "id_token_bad_signature"
    ),
    *(
        LaterCheck("notice", "protocol/logout.py", text, without, fault)
        for text, without, fault in (
            (
                '_TYPS = ("logout+jwt",',
                '_TYPS = ("at+jwt", "logout+jwt",',
                "typ of an access token",
            ),
            ("verify_issuer(claims, client.issuer)\n", "None\n", "iss foreign"),
            ("verify_audience(claims, client)\n", "None\n", "aud foreign"),
            ("if issued > now + skew:", "if False:", "iat in the future"),
            ("if now - skew >= expires:", "if False:", "exp over"),
            ("if issued < now - skew - MAX_NOTICE_AGE:", "if False:", "iat long ago"),
            ("_verify_event(claims)\n", "None\n", "events missing"),
            ("not isinstance(events.get(_EVENT), dict)", "False", "events of another kind"),
            ('if "nonce" in claims:', "if False:", "nonce"),
            ("if subject is None and sid is None:", "if False:", "neither sub nor sid"),
            ("if jti is None:", "if False:", "jti missing"),
        )
    ),
    LaterCheck(
        "notice",
        "flows/logout.py",
        "if sessions.was_taken(issuer, notice.jti):",
        "if False:",
        "replay",
    ),
]


def attempt_at_a_copy(
    folder: Path, fault: str, *, script: str = ATTEMPT, story: tuple[str, ...] = ()
) -> tuple[str | None, bool]:
    """What a fault comes to where the package is the one in a folder."""
    environment = {n: v for n, v in os.environ.items() if not n.startswith("COV")}
    environment["PYTHONPATH"] = os.pathsep.join([str(folder), str(ROOT)])
    answer = subprocess.run(
        [sys.executable, "-B", "-c", script, *story, fault],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert answer.returncode == 0, answer.stderr
    file, code, logged_in = json.loads(answer.stdout)
    assert Path(file).is_relative_to(folder), "this is not the copy"
    return code, logged_in


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the package, to be edited."""
    source = Path(flask_parjar.__path__[0])
    shutil.copytree(source, tmp_path / "flask_parjar", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


@pytest.mark.parametrize("check", CHECKS, ids=[check.fault for check in CHECKS])
def test_without_the_check_the_row_fails(check: Check, package: Path) -> None:
    file = package / "flask_parjar" / "protocol" / check.file
    source = file.read_text(encoding="utf-8")
    assert source.count(check.text) == 1, f"{check.file} has changed"
    file.write_text(source.replace(check.text, check.without), encoding="utf-8")
    code, logged_in = attempt_at_a_copy(package, check.fault)
    assert (code, logged_in) == (check.then, check.then is None)
    assert code != ROWS[check.fault].code


def test_with_every_check_the_row_holds(package: Path) -> None:
    code, logged_in = attempt_at_a_copy(package, "id_token_iss_foreign")
    assert (code, logged_in) == (ROWS["id_token_iss_foreign"].code, False)


@pytest.mark.parametrize("check", LATER_CHECKS, ids=[check.fault for check in LATER_CHECKS])
def test_without_the_check_it_is_taken(check: LaterCheck, package: Path) -> None:
    file = package / "flask_parjar" / check.file
    source = file.read_text(encoding="utf-8")
    assert source.count(check.text) == 1, f"{check.file} has changed"
    file.write_text(source.replace(check.text, check.without), encoding="utf-8")
    code, _ = attempt_at_a_copy(package, check.fault, script=AFTER_LOGIN, story=(check.story,))
    assert code is None


@pytest.mark.parametrize("fault, code", RENEWALS.items())
def test_with_every_check_a_renewal_is_refused(fault: str, code: str) -> None:
    """As test_tokens has it too, and more; here nothing may go missing from the table above."""
    assert attempt_renewal(fault) == (code, False)


@pytest.mark.parametrize("fault, code", NOTICES.items())
def test_with_every_check_a_notice_is_refused(fault: str, code: str) -> None:
    assert attempt_notice(fault) == (code, True)


def test_every_later_check_has_its_row() -> None:
    for check in LATER_CHECKS:
        assert check.fault in {"renewal": RENEWALS, "notice": NOTICES}[check.story]
