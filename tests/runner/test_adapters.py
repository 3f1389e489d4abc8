import gc
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lcrt.errors import BusyError, InvalidRequest, ModelFormatError
from lcrt.native.adapter import Adapter
from lcrt.native.model import Model
from lcrt.runner import adapters
from lcrt.runner.adapters import Adapters
from tests.native import lora, tiny

SHAPES = {"blk.0.attn_q": tiny.LLAMA_SHAPES["blk.0.attn_q"]}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    with Model(tiny.llama(tmp_path_factory.mktemp("tiny") / "llama.gguf")) as loaded:
        yield loaded


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("adapters")
    return [str(lora.write_lora(folder / f"{seed}.gguf", SHAPES, seed=seed)) for seed in range(6)]


def test_what_was_loaded_once_is_there(model: Model, files: list[str]) -> None:
    source = Adapters(model, files[:1])
    ((own, scale),) = source.own
    assert scale == 1.0
    first = source.take([(files[0], 0.5), (files[1], 2.0)])
    assert [scale for _, scale in first] == [0.5, 2.0]
    assert first[0][0] is own
    assert source.take([(files[1], 1.0)])[0][0] is first[1][0]


def test_sizes_are_of_all_that_is_in_memory(model: Model, files: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapters, "N_KEPT", 1)
    source = Adapters(model, files[:1])
    one = Path(files[0]).stat().st_size
    assert (source.own_size, source.size()) == (one, 0)
    used = source.take([(path, 1.0) for path in files[:4]])
    assert (source.own_size, source.size()) == (one, 3 * one)
    del used
    gc.collect()
    assert source.size() == one


def test_sizes_are_told_while_a_file_is_read(model: Model, files: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    entered, go = threading.Event(), threading.Event()

    def read(of: Model, path: str) -> Adapter:
        entered.set()
        assert go.wait(10)
        return Adapter(of, path)

    source = Adapters(model)
    monkeypatch.setattr(adapters, "Adapter", read)
    reader = threading.Thread(target=source.take, args=([(files[0], 1.0)],))
    reader.start()
    assert entered.wait(10)
    teller: list[int] = []
    telling = threading.Thread(target=lambda: teller.append(source.size()), daemon=True)
    telling.start()
    telling.join(5)
    go.set()
    reader.join()
    assert teller == [0]


def test_the_longest_unused_goes_first(model: Model, files: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapters, "N_KEPT", 2)
    source = Adapters(model)
    a, b = (source.take([(path, 1.0)])[0][0] for path in files[:2])
    assert source.take([(files[0], 1.0)])[0][0] is a
    source.take([(files[2], 1.0)])
    assert source.take([(files[0], 1.0)])[0][0] is a
    assert source.take([(files[1], 1.0)])[0][0] is not b
    assert not b.closed


def test_sizes_count_too_but_one_is_always_kept(
    model: Model, files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapters, "SIZE_KEPT", 1)
    source = Adapters(model)
    a = source.take([(files[0], 1.0)])[0][0]
    assert source.take([(files[0], 1.0)])[0][0] is a
    source.take([(files[1], 1.0)])
    assert source.take([(files[0], 1.0)])[0][0] is not a


def test_too_many_in_use_are_no_room_now(model: Model, files: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapters, "N_KEPT", 1)
    monkeypatch.setattr(adapters, "N_USED_MAX", 3)
    source = Adapters(model)
    used = [source.take([(path, 1.0)]) for path in files[:3]]
    with pytest.raises(BusyError, match="too many adapters"):
        source.take([(files[3], 1.0)])
    del used[0]
    gc.collect()
    source.take([(files[3], 1.0)])


def test_a_file_that_does_not_fit_is_the_requests_fault_and_its_path_nobodys_business(
    model: Model, tmp_path: Path
) -> None:
    other = lora.write_lora(tmp_path / "other.gguf", SHAPES, seed=1, arch="qwen2")
    narrow = lora.write_lora(tmp_path / "narrow.gguf", {"blk.0.attn_q": (16, 32)}, seed=1)
    for path in (other, narrow, tmp_path / "absent"):
        with pytest.raises(InvalidRequest, match=r"an adapter cannot be applied to this model: .+") as raised:
            Adapters(model).take([(str(path), 1.0)])
        assert str(tmp_path) not in raised.value.message
    with pytest.raises(ModelFormatError):
        Adapters(model, [str(other)])
