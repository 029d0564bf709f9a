"""Draws handed a generator are those of the process-wide generator with the same state."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Beta, Gamma, Normal
from torch.overrides import get_testing_overrides

from skmixup.randomness import explicit

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


@pytest.mark.parametrize("name", DRAWS)
def test_the_same_numbers_beside_others_as_alone(name, fit_randomness):
    """And one more number, so that the generators have gone equally far."""
    before = torch.get_rng_state()
    with fit_randomness().whole:
        alone = DRAWS[name](), torch.rand(1)
    ours = fit_randomness()
    with ours.callbacks:  # never alone
        beside = DRAWS[name](), torch.rand(1)
    for a, b in zip(alone, beside, strict=True):
        assert torch.equal(a, b)
    assert torch.equal(torch.get_rng_state(), before)


def test_every_function_of_torch_that_draws_is_known():
    """A function that moves the process-wide state inside the window would be one we forgot."""
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
    assert explicit._takes_generator(lambda generator: torch.rand(1, generator=generator))
    assert not explicit._takes_generator(lambda: None)
    assert explicit._SINCE_SOME_VERSION.keys() <= (
        explicit._WITH_GENERATOR | explicit._WITHOUT_GENERATOR
    )


def test_gradients_of_dropout_are_the_same(fit_randomness):
    gradients = []
    for window in (fit_randomness().whole, fit_randomness().callbacks):
        x = X.clone().requires_grad_()
        with window:
            F.dropout(x, 0.3).square().sum().backward()
        gradients.append(x.grad)
    assert torch.equal(*gradients)


def test_a_generator_of_the_users_stays_theirs(fit_randomness):
    theirs = torch.Generator().manual_seed(1)
    with fit_randomness().callbacks:
        drawn = torch.rand(3, generator=theirs)
    assert torch.equal(drawn, torch.rand(3, generator=torch.Generator().manual_seed(1)))
