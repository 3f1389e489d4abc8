import numpy as np
import pytest

from lcrt.core.options import Sampling
from lcrt.errors import ClosedError, InvalidRequest
from lcrt.native.sampler import Sampler

N_VOCAB = 1000
ROW = np.random.default_rng(5).normal(0, 3, N_VOCAB).astype(np.float32)


def test_temperature_0_takes_the_likeliest() -> None:
    assert Sampler(N_VOCAB, Sampling(temperature=0.0)).sample(ROW) == ROW.argmax()


def test_the_same_seed_draws_the_same_tokens() -> None:
    def draws(seed: int) -> list[int]:
        sampler = Sampler(N_VOCAB, Sampling(seed=seed, temperature=2.0, top_k=0, top_p=1.0))
        return [sampler.sample(ROW) for _ in range(20)]

    assert draws(1) == draws(1)
    assert draws(1) != draws(2)


def test_without_a_seed_every_sampler_draws_other_tokens() -> None:
    flat = np.zeros(N_VOCAB, np.float32)
    samplers = [Sampler(N_VOCAB, Sampling(temperature=1.0, top_k=0, top_p=1.0)) for _ in range(2)]
    first, second = ([sampler.sample(flat) for _ in range(20)] for sampler in samplers)
    assert first != second


def test_a_mask_allows_only_its_tokens() -> None:
    mask = np.zeros((N_VOCAB + 31) // 32, np.uint32)
    mask[3] = 1 << 5
    assert Sampler(N_VOCAB).sample(ROW, mask) == 3 * 32 + 5
    assert Sampler(N_VOCAB).sample(ROW, np.zeros_like(mask)) == -1


def test_a_bias_can_forbid_and_force() -> None:
    likeliest = int(ROW.argmax())
    banned = Sampler(N_VOCAB, Sampling(temperature=0.0, logit_bias=((likeliest, -100.0), (17, 90.0))))
    assert banned.sample(ROW) == 17


def test_accepted_tokens_are_penalised() -> None:
    sampler = Sampler(N_VOCAB, Sampling(temperature=0.0, presence_penalty=2.0, frequency_penalty=2.0))
    first = sampler.sample(ROW)
    for _ in range(20):
        sampler.accept(first)
    assert sampler.sample(ROW) != first


def test_candidates_are_probabilities_of_the_survivors() -> None:
    found = Sampler(N_VOCAB, Sampling(top_k=5, top_p=1.0)).candidates(ROW)
    assert [token for token, _ in found] == ROW.argsort()[::-1][:5].tolist()
    assert sum(p for _, p in found) == pytest.approx(1.0)


@pytest.mark.parametrize("row", [ROW[:10], np.zeros(0, np.float32)])
def test_a_row_of_another_length_is_refused(row: np.ndarray) -> None:
    with pytest.raises(InvalidRequest, match="logits"):
        Sampler(N_VOCAB).sample(row)


def test_a_row_of_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="Buffer dtype"):
        Sampler(N_VOCAB).sample(ROW.astype(np.float64))


@pytest.mark.parametrize(
    "sampling",
    [Sampling(logit_bias=((N_VOCAB, 1.0),)), Sampling(seed=2**64), Sampling(top_k=2**40), Sampling(temperature=np.nan)],
)
def test_parameters_out_of_range_are_refused(sampling: Sampling) -> None:
    with pytest.raises(InvalidRequest):
        Sampler(N_VOCAB, sampling)


def test_a_closed_sampler_cannot_be_used() -> None:
    with Sampler(N_VOCAB) as sampler:
        pass
    with pytest.raises(ClosedError):
        sampler.sample(ROW)
