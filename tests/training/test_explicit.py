"""Draws handed a generator are those of the process-wide generator with the same state."""

import threading

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Beta, Gamma, Normal

from skmixup.training.randomness import FitRandomness, Window, draws_unseen
from skmixup.training.turns import Turns, turns

X = torch.linspace(-1, 1, 48).reshape(4, 3, 4)
IMAGES = torch.linspace(-1, 1, 128).reshape(2, 1, 8, 8)
P = X.sigmoid()


def linear(kind=nn.Linear, *args):
    layer = kind(*args)
    return torch.cat([p.detach().flatten() for p in layer.parameters()])


DRAWS = {
    "rand": lambda: torch.rand(3),
    "randn": lambda: torch.randn(2, 2),
    "randint": lambda: torch.randint(9, (5,)),
    "randperm": lambda: torch.randperm(9),
    "rand_like": lambda: torch.rand_like(X),
    "randn_like": lambda: torch.randn_like(X),
    "randint_like": lambda: torch.randint_like(X, 5),
    "normal": lambda: torch.normal(X, 1.0),
    "bernoulli": lambda: torch.bernoulli(P),
    "poisson": lambda: torch.poisson(P),
    "binomial": lambda: torch.binomial(torch.full_like(P, 5.0), P),
    "multinomial": lambda: torch.multinomial(torch.rand(6), 3),
    "Tensor.multinomial": lambda: torch.ones(6).multinomial(3),
    "Tensor.bernoulli": lambda: P.bernoulli(),
    "bernoulli_": lambda: torch.empty(5).bernoulli_(0.3),
    "cauchy_": lambda: torch.empty(5).cauchy_(),
    "exponential_": lambda: torch.empty(5).exponential_(),
    "geometric_": lambda: torch.empty(5).geometric_(0.3),
    "log_normal_": lambda: torch.empty(5).log_normal_(),
    "normal_": lambda: torch.empty(50).normal_(),
    "random_": lambda: torch.empty(5).random_(),
    "uniform_": lambda: torch.empty(5).uniform_(),
    "dropout": lambda: F.dropout(X, 0.3),
    "dropout in place": lambda: F.dropout(X.clone(), 0.3, inplace=True),
    "dropout of all": lambda: F.dropout(X, 1.0),
    "dropout of none": lambda: F.dropout(X, 0.0),
    "dropout in evaluation": lambda: F.dropout(X, 0.5, training=False),
    "torch.dropout": lambda: torch.dropout(X, 0.3, True),
    "torch.dropout(train=)": lambda: torch.dropout(X, p=0.3, train=True),
    "nn.Dropout": lambda: nn.Dropout(0.4)(X),
    "nn.Dropout1d": lambda: nn.Dropout1d(0.4)(X),
    "nn.Dropout2d": lambda: nn.Dropout2d(0.4)(IMAGES),
    "nn.AlphaDropout": lambda: nn.AlphaDropout(0.4)(X),
    "nn.FeatureAlphaDropout": lambda: nn.FeatureAlphaDropout(0.4)(IMAGES),
    "nn.RReLU": lambda: nn.RReLU()(X),
    "rrelu_": lambda: F.rrelu(X.clone(), training=True, inplace=True),
    "gumbel_softmax": lambda: F.gumbel_softmax(X),
    "fractional_max_pool2d": lambda: F.fractional_max_pool2d(IMAGES, 2, output_size=4),
    "attention": lambda: F.scaled_dot_product_attention(X, X, X, dropout_p=0.3),
    "nn.MultiheadAttention": lambda: nn.MultiheadAttention(4, 2, dropout=0.3)(X, X, X)[0],
    "nn.LSTM": lambda: nn.LSTM(4, 4, num_layers=2, dropout=0.5)(X)[0],
    "nn.GRU": lambda: nn.GRU(4, 4, num_layers=2, dropout=0.5)(X)[0],
    "nn.TransformerEncoderLayer": lambda: nn.TransformerEncoderLayer(4, 2, 8)(X),
    "Normal": lambda: Normal(X, 1.0).rsample(),
    "Gamma": lambda: Gamma(P, 1.0).rsample(),
    "Beta": lambda: Beta(P, P).rsample(),
    "svd_lowrank": lambda: torch.svd_lowrank(torch.outer(X[0, 0], X[0, 1]), q=2)[1],
    "Linear": lambda: linear(nn.Linear, 4, 3),
    "Conv2d": lambda: linear(nn.Conv2d, 1, 2, 3),
    "Embedding": lambda: linear(nn.Embedding, 5, 3),
    "LSTM": lambda: linear(nn.LSTM, 4, 3),
    "MultiheadAttention": lambda: linear(nn.MultiheadAttention, 4, 2),
    "orthogonal_": lambda: nn.init.orthogonal_(torch.empty(3, 3)),
    "trunc_normal_": lambda: nn.init.trunc_normal_(torch.empty(5)),
    "xavier_uniform_": lambda: nn.init.xavier_uniform_(torch.empty(3, 3)),
    "sparse_": lambda: nn.init.sparse_(torch.empty(4, 4), 0.5),
}


def randomness():
    import numpy as np

    return FitRandomness(np.random.default_rng(5), torch.device("cpu"))


@pytest.mark.parametrize("name", DRAWS)
def test_the_same_numbers_beside_others_as_alone(name):
    """And one more number, so that the generators have gone equally far."""
    before = torch.get_rng_state()
    with randomness().whole:
        alone = DRAWS[name](), torch.rand(1)
    ours = randomness()
    with ours.callbacks:  # never alone
        beside = DRAWS[name](), torch.rand(1)
    for a, b in zip(alone, beside, strict=True):
        assert torch.equal(a, b)
    assert torch.equal(torch.get_rng_state(), before)


def test_every_function_of_torch_that_draws_is_known():
    """A function that moves the process-wide state inside the window would be one we forgot."""
    from torch.overrides import get_testing_overrides

    from skmixup.training import explicit

    known = explicit._WITH_GENERATOR | explicit._WITHOUT_GENERATOR | {F.dropout, torch.dropout}
    words = (
        "rand",
        "dropout",
        "rrelu",
        "bernoulli",
        "multinomial",
        "poisson",
        "gumbel",
        "lowrank",
    )
    harmless = {"__rand__", "poisson_nll_loss"}
    unknown = {
        name
        for function in get_testing_overrides()
        if any(word in (name := getattr(function, "__name__", "")) for word in words)
        and function not in known
        and name not in harmless
    }
    assert not unknown


def test_functions_that_take_no_generator_in_this_torch_wait_for_their_turn():
    from skmixup.training import explicit

    assert explicit._takes_generator(lambda generator: torch.rand(1, generator=generator))
    assert not explicit._takes_generator(lambda: None)
    assert explicit._SINCE_SOME_VERSION.keys() <= (
        explicit._WITH_GENERATOR | explicit._WITHOUT_GENERATOR
    )


def test_gradients_of_dropout_are_the_same():
    gradients = []
    for window in (randomness().whole, randomness().callbacks):
        x = X.clone().requires_grad_()
        with window:
            F.dropout(x, 0.3).square().sum().backward()
        gradients.append(x.grad)
    assert torch.equal(*gradients)


def test_windows_within_windows_keep_their_states_apart():
    outer, inner = randomness(), randomness()
    for first in (outer.whole, outer.callbacks):
        for second in (inner.whole, inner.callbacks, inner.step):
            ours, theirs = randomness(), randomness()
            first = Window(ours, whole=first.whole, takes_turn=first.takes_turn)
            second = Window(theirs, whole=second.whole, takes_turn=second.takes_turn)
            with first:
                a = torch.rand(2)
                with second:
                    b = torch.rand(3)
                c = torch.rand(2)
            with randomness().whole:
                expected = torch.rand(2), torch.rand(2)
            assert torch.equal(torch.stack([a, c]), torch.stack(expected))
            with randomness().whole:
                assert torch.equal(b, torch.rand(3))


def test_a_generator_of_the_users_stays_theirs():
    theirs = torch.Generator().manual_seed(1)
    with randomness().callbacks:
        drawn = torch.rand(3, generator=theirs)
    assert torch.equal(drawn, torch.rand(3, generator=torch.Generator().manual_seed(1)))


def through_a_function(function, x):
    from torch.utils.checkpoint import checkpoint as again

    return again(function, x, use_reentrant=False)


def test_modules_that_have_to_wait_are_known():
    from torch.utils.checkpoint import checkpoint as again

    class Checkpointed(nn.Linear):
        def forward(self, x):
            return again(super().forward, x, use_reentrant=False)

    class Indirectly(nn.Linear):
        def forward(self, x):
            return through_a_function(super().forward, x)

    assert draws_unseen(nn.Sequential(Checkpointed(2, 2)))
    assert draws_unseen(nn.Sequential(Indirectly(2, 2)))
    with pytest.warns(DeprecationWarning, match="script"):
        scripted = torch.jit.script(nn.Linear(2, 2))
    assert draws_unseen(nn.Sequential(scripted))
    compiled = nn.Linear(2, 2)
    compiled.compile(backend="eager")
    assert draws_unseen(nn.Sequential(compiled))
    assert draws_unseen(torch.compile(nn.Linear(2, 2), backend="eager"))
    assert not draws_unseen(nn.Sequential(nn.Linear(2, 2), nn.Dropout(), nn.LSTM(2, 2)))


# ---- turns


def test_turns_come_in_the_order_in_which_they_were_asked_for():
    lock, order, started = Turns(), [], []
    assert lock.take(0)

    def ask(k):
        lock.take(None)
        order.append(k)
        lock.give_back()

    for k in range(4):
        thread = threading.Thread(target=ask, args=(k,))
        thread.start()
        started.append(thread)
        while len(lock._waiting) <= k:
            pass
    lock.give_back()
    for thread in started:
        thread.join(5)
    assert order == [0, 1, 2, 3]


def test_a_turn_that_does_not_come_is_given_up():
    lock = Turns()
    assert lock.take(None)
    assert lock.take(0)  # the holder's own, again
    answers = []
    thread = threading.Thread(target=lambda: answers.extend([lock.take(0), lock.take(0.01)]))
    thread.start()
    thread.join(5)
    assert answers == [False, False]
    lock.give_back()
    lock.give_back()
    thread = threading.Thread(target=lambda: answers.append(lock.take(0)))
    thread.start()
    thread.join(5)
    assert answers[-1]


def interrupted_in(window):
    with window:
        torch.rand(1)
        raise KeyboardInterrupt


def test_an_interrupt_in_a_window_leaves_the_states_and_the_turn():
    before = torch.get_rng_state()
    for window in (randomness().whole, randomness().step, randomness().callbacks):
        with pytest.raises(KeyboardInterrupt):
            interrupted_in(window)
    assert torch.equal(torch.get_rng_state(), before)
    assert turns._holder is None
