"""Loading, waiting, keeping, sending away: what a request gets and when."""

import anyio
import pytest

from lcrt.core.request import InferenceRequest
from lcrt.errors import BusyError, LoadError, OutOfMemory
from lcrt.scheduler.scheduler import BUSY_TEXT
from lcrt.scheduler.settings import SchedulerSettings
from tests.scheduler.conftest import open_house
from tests.scheduler.fake import WALL, House, settle

pytestmark = pytest.mark.anyio


async def test_a_model_is_loaded_when_it_is_asked_for(house: House) -> None:
    asked = await house.ask("a")
    assert asked.lease is None
    assert house.states() == {"a": "loading"}
    house.world.time += 2.5
    await house.world.ready("a")
    assert asked.lease is not None
    assert asked.lease.load_duration == 2.5


async def test_what_a_runner_found_in_each_tier_is_told_with_the_model(house: House) -> None:
    await house.load("a")
    (row,) = house.scheduler.loaded()
    assert (row.cached.device, row.cached.host, row.cached.disk) == (3, 2, 1)


async def test_the_load_duration_of_a_loaded_model_is_not_zero(house: House) -> None:
    await house.load("a")
    again = await house.ask("a")
    assert again.lease is not None
    assert 0 < again.lease.load_duration < 1e-6


async def test_a_lease_speaks_to_the_runner(house: House) -> None:
    asked = await house.load("a")
    assert asked.lease is not None
    async with asked.lease.generate(InferenceRequest(prompt="x")) as batches:
        assert len([batch async for batch in batches]) == 1


async def test_requests_for_a_loading_model_wait_together(house: House) -> None:
    asked = [await house.ask("a") for _ in range(3)]
    await house.world.ready("a")
    assert all(one.lease for one in asked)
    assert len(house.world.requests) == 1
    assert house.scheduler.loaded()[0].users == 3


async def test_a_load_does_not_hold_up_requests_for_loaded_models(house: House) -> None:
    await house.load("a")
    await house.ask("b")
    assert (await house.ask("a")).lease is not None


async def test_settings_reach_the_runner() -> None:
    settings = SchedulerSettings(num_parallel=3, context_length=99, kv_cache_type="q8_0", latency_target=0.5)
    async with open_house(settings) as house:
        await house.ask("a", num_ctx=17)
        [request] = house.world.requests
        assert (request.n_parallel, request.context_length, request.kv_cache_type) == (3, 99, "q8_0")
        assert (request.options.num_ctx, request.latency_target) == (17, 0.5)


async def test_an_idle_model_goes_after_its_keep_alive_and_not_before(house: House) -> None:
    asked = await house.load("a")
    await house.world.advance(1000)
    await asked.done()
    await house.world.advance(299.9)
    assert house.states() == {"a": "ready"}
    await house.world.advance(0.2)
    assert house.states() == {"a": "leaving"}
    await house.world.end("a")
    assert house.states() == {}


async def test_a_new_request_starts_the_keep_alive_again(house: House) -> None:
    await (await house.load("a")).done()
    await house.world.advance(299)
    await (await house.ask("a")).done()
    await house.world.advance(299)
    assert house.states() == {"a": "ready"}


async def test_a_keep_alive_stays_until_another_one_comes(house: House) -> None:
    await (await house.load("a", keep_alive=10)).done()
    await (await house.ask("a")).done()
    assert house.scheduler.loaded()[0].expires_at == WALL + house.world.time + 10
    await (await house.ask("a", keep_alive=60)).done()
    await house.world.advance(59)
    assert house.states() == {"a": "ready"}
    await house.world.advance(2)
    assert house.states() == {"a": "leaving"}


async def test_a_keep_alive_of_zero_unloads_after_the_last_request(house: House) -> None:
    first, second = await house.load("a", keep_alive=0), await house.ask("a")
    await first.done()
    assert house.states() == {"a": "ready"}
    await second.done()
    assert house.states() == {"a": "leaving"}


@pytest.mark.parametrize("keep_alive", [-1, -0.5])
async def test_a_negative_keep_alive_is_for_ever(house: House, keep_alive: float) -> None:
    await (await house.load("a", keep_alive=keep_alive)).done()
    await house.world.advance(1e9)
    assert house.states() == {"a": "ready"}
    assert house.scheduler.loaded()[0].expires_at is None
    assert house.world.alarm is None


async def test_ps_shows_a_loading_model_without_waiting(house: House) -> None:
    await house.ask("a")
    [row] = house.scheduler.loaded()
    assert (row.state, row.info, row.expires_at) == ("loading", None, WALL + house.world.time + 300)


async def test_ps_counts_what_requests_have_brought_into_memory(house: House) -> None:
    await (await house.load("a")).done()
    _, runner = house.world.running["a"]
    for n_grown in (0, 500, 0):
        runner.n_grown = n_grown
        [row] = house.scheduler.loaded()
        assert row.info is not None
        assert row.info.size == 1000 + n_grown


async def test_expire_unloads_an_idle_model_at_once(house: House) -> None:
    await (await house.load("a")).done()
    assert await house.scheduler.expire("a")
    await settle()
    assert house.states() == {"a": "leaving"}


async def test_expire_lets_running_requests_end(house: House) -> None:
    asked = await house.load("a")
    assert await house.scheduler.expire("a")
    await settle()
    assert house.states() == {"a": "ready"}
    await asked.done()
    assert house.states() == {"a": "leaving"}


async def test_expire_says_when_there_is_nothing_to_do(house: House) -> None:
    assert not await house.scheduler.expire("a")


async def test_the_limit_of_models_sends_an_idle_one_away(house: House) -> None:
    await (await house.load("a", keep_alive=500)).done()
    await (await house.load("b", keep_alive=400)).done()
    asked = await house.ask("c")
    assert house.states() == {"a": "ready", "b": "leaving"}
    await house.world.end("b")
    await house.world.ready("c")
    assert asked.lease is not None


async def test_a_busy_model_is_not_sent_away_before_it_is_idle(house: House) -> None:
    busy = [await house.load("a"), await house.load("b")]
    asked = await house.ask("c")
    assert house.states() == {"a": "ready", "b": "ready"}
    await busy[1].done()
    assert house.states() == {"a": "ready", "b": "leaving"}
    await house.world.end("b")
    await house.world.ready("c")
    assert asked.lease is not None


async def test_requests_for_a_model_that_must_go_queue_behind_the_one_that_needs_its_place() -> None:
    async with open_house(SchedulerSettings(max_loaded_models=1)) as house:
        first = await house.load("a")
        other = await house.ask("b")
        late = await house.ask("a")
        assert late.lease is None
        await first.done()
        await house.world.end("a")
        await house.world.ready("b")
        await other.done()
        await house.world.end("b")
        await house.world.ready("a")
        assert late.lease is not None


async def test_a_model_may_stay_when_the_one_that_needs_its_place_has_left() -> None:
    async with open_house(SchedulerSettings(max_loaded_models=1)) as house:
        await house.load("a")
        other, late = await house.ask("b"), await house.ask("a")
        await other.leave()
        assert late.lease is not None


async def test_three_models_are_the_most_by_default() -> None:
    async with open_house(SchedulerSettings()) as house:
        for path in "abcd":
            await house.ask(path)
        assert list(house.world.loading) == ["a", "b", "c"]


async def test_the_queue_has_an_end(house: House) -> None:
    waiting = [await house.ask("a") for _ in range(4)]
    refused = await house.ask("a")
    assert isinstance(refused.error, BusyError)
    assert refused.error.message == BUSY_TEXT
    await house.world.ready("a")
    assert all(one.lease for one in waiting)


async def test_a_full_queue_does_not_stop_requests_for_loaded_models(house: House) -> None:
    await house.load("b")
    for _ in range(4):
        await house.ask("a")
    assert (await house.ask("b")).lease is not None


async def test_who_leaves_makes_room_in_the_queue(house: House) -> None:
    waiting = [await house.ask("a") for _ in range(4)]
    await waiting[0].leave()
    assert (await house.ask("a")).error is None


async def test_a_load_that_nobody_waits_for_any_more_is_stopped(house: House) -> None:
    first, second = await house.ask("a"), await house.ask("a")
    await first.leave()
    assert house.states() == {"a": "loading"}
    await second.leave()
    assert house.states() == {"a": "leaving"}


async def test_who_leaves_with_a_lease_gives_it_back(house: House) -> None:
    asked = await house.load("a", keep_alive=0)
    await asked.leave()
    assert house.states() == {"a": "leaving"}


async def test_a_failed_load_is_told_to_all_that_wait_and_tried_again_for_the_next(house: House) -> None:
    waiting = [await house.ask("a") for _ in range(2)]
    await house.world.fail("a", OutOfMemory("too large", "take a smaller one"))
    assert [str(one.error) for one in waiting] == ["too large\ntake a smaller one"] * 2
    assert all(isinstance(one.error, OutOfMemory) for one in waiting)
    await house.load("a")


async def test_a_load_without_progress_fails(house: House) -> None:
    asked = await house.ask("a")
    await house.world.advance(299)
    await house.world.progress("a")
    await house.world.advance(299)
    assert asked.error is None
    await house.world.advance(2)
    assert isinstance(asked.error, LoadError)
    assert house.states() == {"a": "leaving"}


async def test_a_dead_runner_is_replaced_for_the_next_request(house: House) -> None:
    asked = await house.load("a")
    await house.world.die("a")
    late = await house.ask("a")
    assert late.lease is None
    await house.world.end("a")
    await house.world.ready("a")
    assert late.lease is not None
    await asked.done()
    assert [row.users for row in house.scheduler.loaded()] == [1]


@pytest.mark.parametrize(
    "other",
    [
        {"num_ctx": 100},
        {"num_batch": 64},
        {"num_gpu": 0},
        {"use_mmap": False},
        {"num_thread": 1},
        {"draft_num_predict": 0},
    ],
)
async def test_other_load_options_load_again_when_the_model_is_idle(house: House, other: dict[str, int]) -> None:
    first = await house.load("a")
    second = await house.ask("a", **other)
    assert house.states() == {"a": "ready"}
    await first.done()
    await house.world.end("a")
    await house.world.ready("a")
    assert second.lease is not None


@pytest.mark.parametrize(
    ("have", "want"),
    [
        ({}, {}),
        ({}, {"num_ctx": 4096}),
        ({"num_ctx": 9000}, {"num_ctx": 8192}),
        ({"num_ctx": 2}, {"num_ctx": 4}),
        ({}, {"num_gpu": -1}),
        ({"num_gpu": 5}, {}),
        ({}, {"num_thread": 0}),
    ],
)
async def test_options_that_come_to_the_same_do_not(house: House, have: dict[str, int], want: dict[str, int]) -> None:
    await house.load("a", **have)
    assert (await house.ask("a", **want)).lease is not None


async def test_two_models_over_the_same_weights_share_a_runner_under_the_first_name(house: House) -> None:
    await house.load("a")
    asked = await house.ask("a")
    asked.spec = asked.spec.__class__("other", "a", "1", 1)
    again = await house.ask("a")
    assert again.lease is not None
    assert len(house.world.requests) == 1


async def test_close_waits_for_running_requests_and_refuses_new_ones(house: House) -> None:
    busy, waiting = await house.load("a"), await house.ask("b")
    house.tasks.start_soon(house.scheduler.close, 30)
    await settle()
    assert isinstance(waiting.error, BusyError)
    assert isinstance((await house.ask("a")).error, BusyError)
    assert house.states() == {"a": "ready", "b": "leaving"}
    await busy.done()
    assert house.states() == {"a": "leaving", "b": "leaving"}


async def test_close_stops_what_is_still_busy_after_the_grace(house: House) -> None:
    await house.load("a")
    closed = anyio.Event()

    async def close() -> None:
        await house.scheduler.close(30)
        closed.set()

    house.tasks.start_soon(close)
    await settle()
    await house.world.advance(29)
    assert house.states() == {"a": "ready"}
    await house.world.advance(2)
    assert house.states() == {"a": "leaving"}
    assert not closed.is_set()
    await house.world.end("a")
    assert closed.is_set()


async def test_who_came_before_the_one_that_needs_other_options_is_served_first(house: House) -> None:
    first, other = await house.ask("a"), await house.ask("a", num_ctx=100)
    await house.world.ready("a")
    assert first.lease is not None
    assert house.states() == {"a": "ready"}
    await first.done()
    await house.world.end("a")
    await house.world.ready("a")
    assert other.lease is not None


async def test_a_model_in_use_would_stay_a_whole_keep_alive_from_now_on(house: House) -> None:
    await (await house.load("a")).done()
    await house.world.advance(200)
    await house.ask("a")
    assert house.scheduler.loaded()[0].expires_at == WALL + house.world.time + 300
