import asyncio
import json

import msgspec
import pytest

from lcrt.client.load import Plan, Report, as_text, drive
from lcrt.client.load.plan import prompt, request
from lcrt.client.load.report import spread
from lcrt.config.address import Address
from tests.client.fake import Answer, Asked, FakeDaemon, failure, objects


def plan(fake: FakeDaemon, **values: object) -> Plan:
    return msgspec.structs.replace(Plan(Address.parse(fake.host), "m", n_requests=6, concurrency=3), **values)


def run(wanted: Plan) -> Report:
    return asyncio.run(drive(wanted))


def ollama(*texts: str) -> Answer:
    chunks = [{"message": {"role": "assistant", "content": text}, "done": False} for text in texts]
    return objects(*chunks, {"message": {"content": ""}, "done": True, "eval_count": 9, "prompt_eval_count": 5})


def sse(*events: object) -> Answer:
    return Answer((*tuple(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events), b"data: [DONE]\n\n"))


def delta(text: str | None) -> dict[str, object]:
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}], "usage": None}


def test_ollama_streams_are_counted_by_event_and_by_the_servers_tokens(fake: FakeDaemon) -> None:
    fake.on("POST", "/api/chat", ollama("a", "b", "", "c"))
    report = run(plan(fake))
    assert (report.n_requests, report.n_failed, report.n_tokens, report.n_prompt) == (6, 0, 54, 30)
    assert (report.n_events, report.ttft.n, report.itl.n, report.latency.n) == (18, 6, 12, 6)


def test_openai_streams_are_counted_the_same_way(fake: FakeDaemon) -> None:
    usage = {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 9}}
    first = {"choices": [{"delta": {"role": "assistant", "content": ""}}]}
    fake.on("POST", "/v1/chat/completions", sse(first, delta("a"), delta(None), delta("b"), usage))
    report = run(plan(fake, api="openai"))
    assert (report.n_failed, report.n_tokens, report.n_prompt, report.n_events) == (0, 54, 30, 12)


def test_raw_prompts_go_to_the_completion_endpoints(fake: FakeDaemon) -> None:
    fake.on("POST", "/api/generate", objects({"response": "a"}, {"done": True}))
    fake.on("POST", "/v1/completions", sse({"choices": [{"text": "a"}]}))
    assert run(plan(fake, raw=True)).n_events == 6
    assert run(plan(fake, raw=True, api="openai")).n_events == 6


def test_answers_may_be_cut_anywhere(fake: FakeDaemon) -> None:
    whole = b"".join(ollama("a", "é").pieces)
    fake.on("POST", "/api/chat", Answer(tuple(whole[i : i + 3] for i in range(0, len(whole), 3))))
    report = run(plan(fake))
    assert (report.n_failed, report.n_events, report.n_tokens) == (0, 12, 54)


def test_refused_broken_and_unreadable_answers_are_failures_with_their_reason(fake: FakeDaemon) -> None:
    answers = iter(
        [
            failure(503, "busy"),
            objects({"message": {"content": "a"}}, {"error": "died"}),
            objects({"message": {"content": "a"}}, cut=True),
            Answer((b"no json\n",)),
            ollama("a"),
        ]
    )
    fake.on("POST", "/api/chat", lambda _: next(answers))
    report = run(plan(fake, n_requests=5, concurrency=1))
    assert report.n_failed == 4
    assert report.n_tokens == 9
    assert any("503" in error and "busy" in error for error in report.errors)
    assert "died" in report.errors
    assert "connection closed before the answer ended" in report.errors
    assert any(error.startswith("unreadable answer") for error in report.errors)


def test_nobody_listening_is_a_failure_of_every_request(fake: FakeDaemon) -> None:
    report = run(plan(fake, address=Address.parse("127.0.0.1:9")))
    assert report.n_failed == report.n_requests == 6


def test_a_request_that_takes_too_long_fails_and_the_next_is_sent(fake: FakeDaemon) -> None:
    answers = iter([objects({"message": {"content": "a"}}, hangs=True), ollama("a")])
    fake.on("POST", "/api/chat", lambda _: next(answers))
    report = run(plan(fake, n_requests=2, concurrency=1, timeout=0.3))
    assert report.errors == {"TimeoutError": 1}
    assert report.n_tokens == 9


def test_no_more_requests_than_wanted_are_under_way_and_connections_are_kept(fake: FakeDaemon) -> None:
    fake.on("POST", "/api/chat", ollama("a"))
    run(plan(fake, n_requests=10, concurrency=2))
    bodies = [asked.body for asked in fake.asked]
    assert len(bodies) == len(set(bodies)) == 10
    assert fake.n_connections == 2


@pytest.mark.parametrize("announced", [True, False])
def test_a_server_that_closes_its_connections_is_asked_over_new_ones(fake: FakeDaemon, announced: bool) -> None:
    fake.on("POST", "/api/chat", ollama("a")._replace(closes=True, announces=announced))
    report = run(plan(fake, n_requests=5, concurrency=1))
    assert (report.n_failed, report.n_requests, fake.n_connections) == (0, 5, 5)


def test_the_same_seed_makes_the_same_prompts_and_another_seed_others() -> None:
    here = Plan(Address(), "m", n_prompt=50, seed=1)
    other = msgspec.structs.replace(here, seed=2)
    first = [prompt(here, index) for index in range(1000)]
    assert first[:20] == [prompt(here, index) for index in range(20)]
    assert not {*first} & {prompt(other, index) for index in range(1000)}
    assert len({tuple(text.split()[:2]) for text in first}) == 1000
    assert all(len(text.split()) == 50 for text in first)


def test_extra_fields_are_merged_into_the_request(fake: FakeDaemon) -> None:
    seen: list[Asked] = []

    def answer(asked: Asked) -> Answer:
        seen.append(asked)
        return ollama("a")

    fake.on("POST", "/api/chat", answer)
    run(plan(fake, n_requests=1, max_tokens=7, extra={"think": False, "options": {"temperature": 0}}))
    assert seen[0].json["options"] == {"num_predict": 7, "temperature": 0}
    assert seen[0].json["think"] is False


def test_a_request_states_its_length() -> None:
    head, _, body = request(Plan(Address.parse("h:1"), "é"), 0).partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert head.startswith(b"POST /api/chat HTTP/1.1\r\nHost: h:1\r\n")


@pytest.mark.parametrize(
    ("values", "p50", "p99", "most"), [([5.0], 5.0, 5.0, 5.0), ([1.0, 2.0, 3.0, 4.0], 2.0, 4.0, 4.0)]
)
def test_percentiles_are_values_that_occurred(values: list[float], p50: float, p99: float, most: float) -> None:
    spread_ = spread(values)
    assert (spread_.p50, spread_.p99, spread_.max) == (p50, p99, most)
    assert spread([]).n == 0


def test_a_report_can_be_read_by_a_person(fake: FakeDaemon) -> None:
    fake.on("POST", "/api/chat", failure(500, "oh"))
    text = as_text(run(plan(fake)))
    assert "6 (6 failed)" in text
    assert "6 x 500" in text
