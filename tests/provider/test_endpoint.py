"""A request with its proofs, and what its answer means before a caller reads it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import formatdate

import pytest

from flask_parjar.errors import ProviderRefused, ProviderUnavailable
from flask_parjar.protocol.client import ClientConfig
from flask_parjar.protocol.outbound import Answer, Outbound, Proof
from flask_parjar.provider import Http, Provider, ProviderCall
from flask_parjar.provider.endpoint import Endpoints, refusal
from tests.support.raw_server import always, answer, raw_server, read_request

NOW = 1_800_000_000


def refusal_of(
    status: int, *, date: str | None = None, error: object = "x", code: str = "code_refused"
) -> ProviderRefused | ProviderUnavailable:
    headers = {} if date is None else {"Date": date}
    document = None if error is None else {"error": error}
    found = Answer(status=status, headers=headers, body=b"", document=document)
    return refusal(found, code, now=NOW)


@pytest.mark.parametrize(
    "ahead, told", [(0, False), (30, False), (-30, False), (31, True), (-31, True)]
)
def test_a_clock_is_spoken_of_only_where_it_is_wrong(ahead: int, told: bool) -> None:
    error = refusal_of(400, date=formatdate(NOW + ahead, usegmt=True))
    assert ("31 s" in error.detail) is told
    assert ("ahead" in error.detail) is (ahead == 31)


@pytest.mark.parametrize(
    "status, error, code, expected",
    [
        (400, "invalid_grant", "code_refused", "code_refused"),
        (400, "invalid_client", "code_refused", "client_refused"),
        (401, "other", "push_refused", "client_refused"),
        (401, None, "userinfo_refused", "userinfo_refused"),
        (403, None, "push_refused", "push_refused"),
        (403, None, "code_refused", "client_refused"),
        (400, None, "push_refused", "provider_failed"),
        (404, 7, "push_refused", "provider_failed"),
        (400, "invalid_grant", "refresh_refused", "refresh_refused"),
        (400, None, "refresh_refused", "refresh_refused"),  # Glewlwyd's way to say so
        (401, None, "refresh_refused", "client_refused"),
        (403, None, "refresh_refused", "provider_failed"),  # a firewall's, perhaps
        (400, "invalid_dpop_proof", "push_refused", "dpop_refused"),
        (401, "invalid_dpop_proof", "code_refused", "dpop_refused"),
        (401, "use_dpop_nonce", "refresh_refused", "dpop_refused"),
    ],
)
def test_the_code_says_who_must_act(status: int, error: object, code: str, expected: str) -> None:
    found = refusal_of(status, error=error, code=code)
    assert found.error_code == expected
    wanted = ProviderUnavailable if expected == "provider_failed" else ProviderRefused
    assert isinstance(found, wanted)


def test_metadata_is_no_jwt() -> None:
    """Only userinfo may come as a JWT; any other document is a JSON object."""
    jwt = answer(b"a.b.c", headers="Content-Type: application/jwt\r\n")
    with raw_server(always(jwt)) as server:
        client = ClientConfig(name="default", issuer=server.url.rstrip("/"), client_id="site")
        provider = Provider(client, Http(timeout=5), on_call=lambda describe: None)
        with pytest.raises(ProviderUnavailable) as caught:
            provider.metadata(NOW)
    assert caught.value.error_code == "provider_answer"
    assert "discovery" in caught.value.detail


# Sending, with proofs.


class Nonce:
    """A proof that needs something from the answer before it, as DPoP does (RFC 9449 section 8).

    :param name: the form field that it adds.
    """

    def __init__(self, name: str = "nonce") -> None:
        self.name = name
        self.nonce = ""
        self.applied: list[int] = []
        self.learned: list[tuple[int, str]] = []

    def apply(self, outbound: Outbound, *, now: int) -> Outbound:
        self.applied.append(now)
        return outbound.with_fields({self.name: self.nonce or "none"})

    def learn(self, answer: Answer) -> bool:
        nonce = answer.headers.get("DPoP-Nonce", "")
        self.learned.append((answer.status, nonce))
        self.nonce = nonce or self.nonce
        return (answer.document or {}).get("error") == "use_dpop_nonce"


def wants(nonce: str) -> bytes:
    """The answer of a server that wants a proof with another nonce."""
    headers = f"Connection: close\r\nContent-Type: application/json\r\nDPoP-Nonce: {nonce}\r\n"
    return answer(b'{"error": "use_dpop_nonce"}', status="400 Bad Request", headers=headers)


def accepts(nonce: str) -> bytes:
    headers = f"Connection: close\r\nContent-Type: application/json\r\nDPoP-Nonce: {nonce}\r\n"
    return answer(b'{"ok": true}', headers=headers)


class Sender:
    """The endpoints of a server that gives these answers, one after another."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.built = 0
        self.calls: list[ProviderCall] = []
        self._endpoints = Endpoints("default", Http(timeout=5), self._on_call)

    def _on_call(self, describe: Callable[[], ProviderCall]) -> None:
        self.calls.append(describe())

    def build(self) -> Outbound:
        self.built += 1
        return Outbound.post(f"{self.url}?a=1", {"request": f"number {self.built}"})

    def send(self, *proofs: Proof) -> Answer:
        return self._endpoints.send("token", self.build, proofs=proofs, now=NOW)


@contextmanager
def answering(*answers: bytes) -> Iterator[tuple[Sender, list[bytes]]]:
    """A server of these answers, each on a connection of its own, and what it received."""
    left, received = list(answers), []

    def respond(connection: socket.socket) -> None:
        received.append(read_request(connection))
        connection.sendall(left.pop(0))

    with raw_server(respond) as server:
        yield Sender(server.url), received


def test_a_proof_that_learns_nothing_causes_no_second_try() -> None:
    proof = Nonce()
    with answering(accepts("n1")) as (sender, received):
        assert sender.send(proof).document == {"ok": True}
    assert (sender.built, len(received), len(sender.calls)) == (1, 1, 1)
    assert proof.applied == [NOW]
    assert proof.learned == [(200, "n1")]  # of a success too: it is for the next request


def test_a_proof_that_learns_causes_one_more_try_built_and_proved_anew() -> None:
    proof = Nonce()
    with answering(wants("n1"), accepts("n2")) as (sender, received):
        assert sender.send(proof).document == {"ok": True}
    assert b"request=number+1&nonce=none" in received[0]
    assert b"request=number+2&nonce=n1" in received[1]
    assert proof.learned == [(400, "n1"), (200, "n2")]
    assert proof.nonce == "n2"
    assert [call.status for call in sender.calls] == [400, 200]
    assert all("request" in call.sent and "nonce" in call.sent for call in sender.calls)


def test_there_is_no_third_try() -> None:
    proof = Nonce()
    with answering(wants("n1"), wants("n2")) as (sender, received):
        found = sender.send(proof)
    assert (found.status, sender.built, len(received)) == (400, 2, 2)
    assert proof.learned == [(400, "n1"), (400, "n2")]  # it keeps the newest for the next request


def test_every_proof_looks_at_each_answer() -> None:
    proofs = Nonce("a"), Nonce("b")
    with answering(wants("n1"), accepts("n2")) as (sender, received):
        sender.send(*proofs)
    assert b"a=n1&b=n1" in received[1]
    assert [len(proof.learned) for proof in proofs] == [2, 2]
    assert sender.built == 2


def test_without_proofs_nothing_is_tried_again() -> None:
    with answering(wants("n1")) as (sender, received):
        assert sender.send().status == 400
    assert (sender.built, len(received)) == (1, 1)


def test_an_answer_that_no_caller_can_use_is_not_tried_again() -> None:
    proof = Nonce()
    with answering(answer(b"{}", status="503 Service Unavailable")) as (sender, received):
        with pytest.raises(ProviderUnavailable) as caught:
            sender.send(proof)
    assert caught.value.error_code == "provider_busy"
    assert (len(received), proof.learned) == (1, [])
    assert [(call.status, call.error) for call in sender.calls] == [(503, "provider_busy")]


def test_a_call_is_described_without_its_query_and_its_secrets() -> None:
    secret = "a-token-of-some-length-that-is-secret"
    form = (
        ("resource", "https://a.example"),
        ("resource", "https://b.example"),
        ("resource", "https://c.example"),
        ("refresh_token", secret),
    )
    calls: list[ProviderCall] = []
    with raw_server(always(accepts("n1"))) as server:
        endpoints = Endpoints("default", Http(timeout=5), lambda describe: calls.append(describe()))
        outbound = Outbound(method="POST", url=f"{server.url}?secret=x", form=form)
        endpoints.send("token", lambda: outbound, now=NOW)
    (call,) = calls
    assert (call.provider, call.endpoint, call.url) == ("default", "token", server.url)
    assert call.sent["resource"] == [f"https://{each}.example" for each in "abc"]
    assert secret not in str(call)
