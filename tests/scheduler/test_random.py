"""Many random histories: whatever happens, the promises hold and everybody is answered."""

import random
from collections.abc import Awaitable, Callable

import pytest

from lcrt.errors import OutOfMemory
from lcrt.scheduler.settings import SchedulerSettings
from tests.scheduler.conftest import open_house
from tests.scheduler.fake import Ask, FakeRunner, House, settle

pytestmark = pytest.mark.anyio

N_STEPS = 120
MAX_QUEUE = 6


class History:
    """Random steps over a house, with the promises checked after each."""

    def __init__(self, house: House, seed: int, max_loaded: int) -> None:
        self.house = house
        self.world = house.world
        self.max_loaded = max_loaded
        self.rng = random.Random(seed)
        self.asks: list[Ask] = []
        self.granted: set[int] = set()

    async def step(self) -> None:
        actions: list[tuple[int, Callable[[], Awaitable[object]]]] = [
            (6, self.ask),
            (4, self.finish_one),
            (1, self.leave_one),
            (3, self.answer_load),
            (3, self.answer_stop),
            (1, self.kill_one),
            (1, self.expire_one),
            (2, lambda: self.world.advance(self.rng.choice((0.5, 5, 50, 400)))),
        ]
        weights = [weight for weight, _ in actions]
        await self.rng.choices([action for _, action in actions], weights)[0]()
        await settle()
        self.check()

    def check(self) -> None:
        rows = self.house.scheduler.loaded()
        assert len(rows) <= self.max_loaded
        n_waiting = sum(not ask.answered for ask in self.asks)
        assert n_waiting <= MAX_QUEUE
        assert not n_waiting or rows, "somebody waits and nothing happens"
        for ask in self.asks:
            if ask.lease is not None and id(ask) not in self.granted:
                self.granted.add(id(ask))
                runner = ask.lease._runner
                assert isinstance(runner, FakeRunner)
                assert runner.alive, "a lease on a dead runner"
        users = sum(row.users for row in rows)
        assert users <= sum(ask.holds for ask in self.asks)

    async def ask(self) -> None:
        options = self.rng.choice(({}, {}, {}, {"num_ctx": 100}, {"num_ctx": 20_000}, {"num_gpu": 1}))
        keep_alive = self.rng.choice((None, None, None, 0, 10, -1))
        self.asks.append(await self.house.ask(self.rng.choice("abcde"), keep_alive, **options))

    async def finish_one(self) -> None:
        if holders := [ask for ask in self.asks if ask.holds]:
            await self.rng.choice(holders).done()

    async def leave_one(self) -> None:
        if asks := [ask for ask in self.asks if ask.holds or not ask.answered]:
            await self.rng.choice(asks).leave()

    async def answer_load(self) -> None:
        if self.world.loading:
            path = self.rng.choice(sorted(self.world.loading))
            if self.rng.random() < 0.2:
                await self.world.fail(path, OutOfMemory("no room"))
            else:
                await self.world.ready(path)

    async def answer_stop(self) -> None:
        if self.world.stopping:
            await self.world.end(self.rng.choice(sorted(self.world.stopping)))

    async def kill_one(self) -> None:
        if self.world.running:
            await self.world.die(self.rng.choice(sorted(self.world.running)))

    async def expire_one(self) -> None:
        await self.house.scheduler.expire(self.rng.choice("abcde"))

    async def wind_up(self) -> None:
        """Let everything that was begun come to its end, without new requests."""
        for _ in range(10 * (MAX_QUEUE + 1)):
            while self.world.loading:
                await self.world.ready(min(self.world.loading))
            while self.world.stopping:
                await self.world.end(min(self.world.stopping))
            for ask in self.asks:
                if ask.holds:
                    await ask.done()
            self.check()


@pytest.mark.parametrize("seed", range(60))  # the seed is part of the test's name
async def test_whatever_happens_the_promises_hold(seed: int) -> None:
    max_loaded = 1 + seed % 3
    async with open_house(SchedulerSettings(max_loaded_models=max_loaded, max_queue=MAX_QUEUE)) as house:
        history = History(house, seed, max_loaded)
        for _ in range(N_STEPS):
            await history.step()
        await history.wind_up()
        assert all(ask.answered for ask in history.asks)
        assert not any(row.users for row in house.scheduler.loaded())
        house.tasks.start_soon(house.scheduler.close, 0)
        await settle()
        while house.world.stopping:
            await house.world.end(min(house.world.stopping))
        assert house.states() == {}
