"""`keytrail webhook` against a real HTTP server that fails, hangs and refuses, and where it dies itself."""

import base64
import hmac
import json
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from running import running_part
from sink_support import Feed, anomaly
from waiting import wait_until

from keytrail.cli.main import main
from keytrail.cli.webhook import is_configured
from keytrail.schemas import topics
from keytrail.schemas.settings import Settings
from keytrail.sinks.webhook.breaker import Breaker
from keytrail.sinks.webhook.filter import Wanted
from keytrail.sinks.webhook.forms import FORMS, body_of
from keytrail.sinks.webhook.signing import headers, secret_of
from keytrail.sinks.webhook.target import Outcome, Target

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()


@dataclass(frozen=True)
class Received:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def name(self) -> str:
        return self.headers["webhook-id"]


@dataclass
class Receiver:
    """Answers what `decide` says of the number of a request and its body; None hangs up without an answer."""

    url: str = ""
    got: list[Received] = field(default_factory=list)
    decide: Callable[[int, Received], tuple[int, dict[str, str]] | None] = lambda _number, _got: (204, {})

    def names(self) -> list[str]:
        return [one.name for one in self.got]


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got = Received(self.path, {k.lower(): v for k, v in self.headers.items()}, body)
            receiver.got.append(got)
            answer = receiver.decide(len(receiver.got), got)
            if answer is None:
                self.close_connection = True
                return
            self.send_response(answer[0])
            for name, value in answer[1].items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_port}/hook?team=security"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


@pytest.fixture
def flags(
    settings: Settings, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    monkeypatch.setenv("KEYTRAIL_WEBHOOK_URL", receiver.url)
    monkeypatch.setenv("KEYTRAIL_WEBHOOK_SECRET", SECRET)
    return [
        *("--name", f"test-{uuid.uuid4()}", "--allow-private", "--from-beginning"),
        *("--refused", str(tmp_path / "refused.jsonl")),
    ]


def tell(settings: Settings, rule: str, count: int, **fields: object) -> list[str]:
    """Findings of one rule of the test's own; their ids as a webhook gets them."""
    found = [anomaly(anomaly_id=f"{rule}-{n}", rule=rule, **fields) for n in range(count)]
    Feed(settings).records(topics.ANOMALIES, "anomaly", found)
    return [f"{one.anomaly_id}/1" for one in found]


def test_what_is_sent_is_signed_and_names_itself(
    settings: Settings, receiver: Receiver, flags: list[str]
) -> None:
    rule = f"r-{uuid.uuid4()}"
    names = tell(settings, rule, 3)
    tell(settings, rule, 1, severity="low", revision=2)
    with running_part("webhook", settings.data_dir, *flags, "--rule", rule, "--severity", "high"):
        wait_until(lambda: len(receiver.got) == 3, lambda: str(receiver.names()))
    assert sorted(receiver.names()) == sorted(names)
    for got in receiver.got:
        assert (got.path, got.headers["content-type"]) == ("/hook?team=security", "application/json")
        assert json.loads(got.body)["rule"] == rule
        at = got.headers["webhook-timestamp"]
        signed = hmac.digest(bytes(range(32)), f"{got.name}.{at}.".encode() + got.body, "sha256")
        assert got.headers["webhook-signature"] == "v1," + base64.b64encode(signed).decode()


def test_what_is_not_taken_is_sent_again_in_order(
    settings: Settings, receiver: Receiver, flags: list[str]
) -> None:
    """A hang-up, errors, too many requests, a redirect that is not followed: each is tried again."""
    rule = f"r-{uuid.uuid4()}"
    answers = [None, (500, {}), (429, {"Retry-After": "1"}), (302, {"Location": "http://127.0.0.1:1/"})]
    receiver.decide = lambda number, _got: answers[number - 1] if number <= len(answers) else (200, {})
    [first, second] = tell(settings, rule, 2)
    with running_part("webhook", settings.data_dir, *flags, "--rule", rule):
        wait_until(lambda: len(receiver.got) == 6, lambda: str(receiver.names()))
    assert receiver.names() == [first] * 5 + [second]
    assert len({got.body for got in receiver.got[:5]}) == 1


def test_what_is_refused_is_set_aside_and_the_others_go_on(
    settings: Settings, receiver: Receiver, flags: list[str], tmp_path: Path
) -> None:
    rule = f"r-{uuid.uuid4()}"
    first, second, third = tell(settings, rule, 3)
    receiver.decide = lambda _number, got: (400, {}) if got.name == second else (200, {})
    with running_part("webhook", settings.data_dir, *flags, "--rule", rule, "--refusals", "2") as part:
        wait_until(lambda: third in receiver.names(), lambda: str(receiver.names()))
    assert receiver.names() == [first, second, second, third]
    [line] = (tmp_path / "refused.jsonl").read_text().splitlines()
    kept = json.loads(line)
    assert (kept["why"], kept["webhook_id"]) == ("refused with HTTP 400", second)
    assert base64.b64decode(kept["value"])
    assert "was set aside: refused with HTTP 400; 1 by now" in part.log.read_text()


def test_nothing_is_lost_where_it_dies(settings: Settings, receiver: Receiver, flags: list[str]) -> None:
    """Killed while a finding is under way; the next process sends that one again, and the rest once."""
    rule = f"r-{uuid.uuid4()}"
    names = tell(settings, rule, 6)
    reached, going_on = threading.Event(), threading.Event()

    def decide(number: int, _got: Received) -> tuple[int, dict[str, str]]:
        if number == 3:
            reached.set()
            going_on.wait(60)
        return 200, {}

    receiver.decide = decide
    with running_part("webhook", settings.data_dir, *flags, "--rule", rule) as part:
        assert reached.wait(60)
        part.process.kill()
    going_on.set()
    with running_part("webhook", settings.data_dir, *flags, "--rule", rule):
        wait_until(lambda: names[-1] in receiver.names(), lambda: str(receiver.names()))
    assert receiver.names() == [*names[:3], *names[2:]]


def test_a_new_webhook_begins_with_what_comes(
    settings: Settings, receiver: Receiver, flags: list[str]
) -> None:
    rule = f"r-{uuid.uuid4()}"
    before = tell(settings, rule, 2)
    flags.remove("--from-beginning")
    with running_part("webhook", settings.data_dir, *flags, "--rule", rule):

        def one_more_until_it_comes() -> bool:
            tell(settings, rule, 1, revision=len(receiver.got) + 2, entity="later")
            return bool(receiver.got)

        wait_until(one_more_until_it_comes, "a finding that came after the start")
    assert not set(before) & set(receiver.names())


def test_a_target_that_hangs_is_left_after_its_time(receiver: Receiver) -> None:
    over = threading.Event()

    def hang(_number: int, _got: Received) -> None:
        over.wait(60)

    receiver.decide = hang
    answer = Target(receiver.url, allow_private=True, timeout_s=0.2).send(b"{}", {})
    over.set()
    assert (answer.outcome, answer.said) == (Outcome.LATER, "no answer (ReadTimeoutError)")


@pytest.mark.parametrize(
    ("status", "said", "outcome", "after"),
    [
        (200, {}, Outcome.TAKEN, None),
        (429, {"Retry-After": "7"}, Outcome.LATER, 7.0),
        (503, {"Retry-After": "999999"}, Outcome.LATER, 3_600.0),
        (500, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, Outcome.LATER, None),
        (308, {"Location": "http://127.0.0.1:1/"}, Outcome.REFUSED, None),
        (404, {}, Outcome.REFUSED, None),
    ],
)
def test_answers(
    status: int, said: dict[str, str], outcome: Outcome, after: float | None, receiver: Receiver
) -> None:
    receiver.decide = lambda _number, _got: (status, said)
    answer = Target(receiver.url, allow_private=True).send(b"{}", {})
    assert (answer.outcome, answer.retry_after_s) == (outcome, after)
    assert len(receiver.got) == 1


def test_a_private_network_is_sent_to_only_where_that_is_allowed(receiver: Receiver) -> None:
    answer = Target("https" + receiver.url.removeprefix("http")).send(b"{}", {})
    assert answer.outcome is Outcome.LATER
    assert "private network" in answer.said
    assert receiver.got == []


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://example.com/", "anybody on the way can read"),
        ("ftp://example.com/", "URL is none"),
        ("https://user:pw@example.com/", "URL is none"),
        ("https://example.com:port/", "URL is none"),
        ("", "No webhook is configured"),
    ],
)
def test_a_wrong_url(
    url: str,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    settings: Settings,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("KEYTRAIL_WEBHOOK_URL", url)
    assert main(["webhook", "--data-dir", str(settings.data_dir)]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("FORM", "xml", "KEYTRAIL_WEBHOOK_FORM is 'xml'"),
        ("SEVERITY", "worst", "KEYTRAIL_WEBHOOK_SEVERITY is 'worst'"),
        ("SECRET", "abc", "secret has not the form of one"),
        ("SECRET_FILE", "/nowhere/secret", "/nowhere/secret cannot be read"),
    ],
)
def test_a_wrong_setting(
    name: str,
    value: str,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    settings: Settings,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("KEYTRAIL_WEBHOOK_URL", "https://example.com/hook")
    monkeypatch.setenv(f"KEYTRAIL_WEBHOOK_{name}", value)
    assert main(["webhook", "--data-dir", str(settings.data_dir)]) == 2
    assert said in capsys.readouterr().err


def test_up_starts_one_where_it_is_configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KEYTRAIL_WEBHOOK_URL", raising=False)
    assert not is_configured()
    monkeypatch.setenv("KEYTRAIL_WEBHOOK_URL_FILE", str(tmp_path / "url"))
    assert is_configured()


@pytest.mark.parametrize("text", ["", "secret", "whsec_", "whsec_dG9vIHNob3J0", "whsec_#"])
def test_a_wrong_secret(text: str) -> None:
    with pytest.raises(Exception, match="has not the form"):
        secret_of(text)


def test_the_signature_is_that_of_standard_webhooks() -> None:
    """The example of its specification."""
    secret = secret_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    found = headers("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}', secret)
    assert found["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_breaker_opens_asks_once_and_closes() -> None:
    breaker = Breaker(failures=3, pause_s=10)
    assert [breaker.failed(0.0), breaker.failed(1.0), breaker.wait_s(1.0)] == [False, False, 0.0]
    assert breaker.failed(2.0)
    assert (breaker.wait_s(3.0), breaker.wait_s(12.0)) == (9.0, 0.0)
    assert not breaker.failed(12.0)
    assert breaker.wait_s(12.0) == 10.0
    assert breaker.succeeded()
    assert (breaker.wait_s(12.0), breaker.succeeded()) == (0.0, False)


@pytest.mark.parametrize(
    ("fields", "sent"),
    [
        ({}, True),
        ({"status": "resolved"}, True),
        ({"status": "suppressed"}, False),
        ({"status": "acknowledged"}, False),
        ({"severity": "medium"}, False),
        ({"severity": "apocalyptic"}, True),
        ({"rule": "other"}, False),
    ],
)
def test_which_are_sent(fields: dict[str, str], sent: bool) -> None:
    assert Wanted("high", {"privileged_grant"}).accepts(anomaly(**fields)) is sent


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_json(form: str) -> None:
    assert json.loads(body_of(anomaly(summary="\ud800 <!channel> *bold*"), form))


def test_what_a_finding_says_is_no_command_to_slack() -> None:
    text = json.loads(body_of(anomaly(summary="<!channel> &", entity="<@U1>"), "slack"))["text"]
    assert "<" not in text
    assert "&lt;!channel&gt; &amp;" in text
