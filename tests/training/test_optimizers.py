"""Shortcuts around torch's optimizers."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.optim import SGD, AdamW
from torch.optim.optimizer import register_optimizer_step_pre_hook

from skmixup.training.optimizers import has_fused_kernel, plain_step


class TestPlainStep:
    """The optimizer's step goes past torch's wrapper only where that has nothing to do."""

    def optimizer(self):
        return torch.optim.AdamW([nn.Parameter(torch.ones(2))], lr=0.1)

    def test_it_is_the_same_step(self):
        weights = []
        for step_of in (plain_step, lambda optimizer: optimizer.step):
            optimizer = self.optimizer()
            (weight,) = optimizer.param_groups[0]["params"]

            def closure(weight=weight, optimizer=optimizer):
                optimizer.zero_grad()
                loss = weight.square().sum()
                loss.backward()
                return loss

            assert step_of(optimizer)(closure).item() == 2.0
            weights.append(weight.detach())
        assert torch.equal(*weights)

    def test_hooks_schedulers_and_profilers_get_the_whole_step(self):
        assert plain_step(optimizer := self.optimizer()) != optimizer.step
        hooked, scheduled, profiled = self.optimizer(), self.optimizer(), self.optimizer()
        hooked.register_step_post_hook(lambda *args: None)
        torch.optim.lr_scheduler.StepLR(scheduled, 1)
        assert plain_step(hooked) == hooked.step
        assert plain_step(scheduled) == scheduled.step
        with torch.profiler.profile():
            assert plain_step(profiled) == profiled.step
        handle = register_optimizer_step_pre_hook(lambda *args: None)
        try:
            assert plain_step(profiled) == profiled.step
        finally:
            handle.remove()

    def test_an_optimizer_of_the_users_own(self):
        class Own:
            def step(self, closure):
                return closure()

        assert plain_step(own := Own()) == own.step


CASES = {
    "as it is": {},
    "no decay": {"weight_decay": 0.0, "betas": (0.8, 0.99), "eps": 1e-6},
    "to maximize": {"maximize": True},
    "amsgrad": {"amsgrad": True},
    "parameter by parameter": {"fused": False},
    "a tensor as rate": {"lr": torch.tensor(0.1)},
    "an integer as rate": {"lr": 1},
    "one loop for each operation": {"fused": False, "foreach": True},
}


class TestFusedStep:
    """AdamW's kernel is called as torch calls it, and torch is where there is more to do."""

    @pytest.mark.parametrize("case", CASES)
    def test_weights_and_states_are_those_of_torch(self, case):
        first, second = (self.trained(CASES[case], step_of) for step_of in STEPS)
        assert_equal(first, second)

    def test_groups_frozen_and_late_parameters_and_other_types(self):
        first, second = (self.trained({}, step_of, several=True) for step_of in STEPS)
        assert_equal(first, second)

    def test_a_scaled_loss_that_overflows_is_left_to_torch(self):
        weight = nn.Parameter(torch.ones(2))
        optimizer = torch.optim.AdamW([weight], lr=0.1, fused=True)
        for overflows in (0.0, 1.0):
            before, weight.grad = weight.detach().clone(), torch.ones(2)
            optimizer.grad_scale, optimizer.found_inf = torch.ones(()), torch.tensor(overflows)
            plain_step(optimizer)()
            assert torch.equal(before, weight) is (overflows > 0)

    def trained(self, options, step_of, several=False):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
        groups = [{"params": net[0].parameters()}, {"params": net[2].parameters(), "lr": 0.02}]
        optimizer = torch.optim.AdamW(groups, **{"lr": 0.1, "fused": True, **options})
        late = nn.Parameter(torch.ones(2, dtype=torch.float64))
        x = torch.randn(8, 3)
        for i in range(6):
            if several and i == 2:
                net[0].bias.requires_grad_(False)
            if several and i == 3:
                optimizer.add_param_group({"params": [late], "lr": 0.3})
            if i == 4:  # as a callback may
                optimizer.load_state_dict(optimizer.state_dict())
                optimizer.param_groups[0]["lr"] = 0.05

            def closure(i=i):
                optimizer.zero_grad()
                loss = net(x).square().mean() + late.square().sum() * (i > 3)
                loss.backward()
                return loss

            assert step_of(optimizer)(closure).requires_grad
        states = [dict(optimizer.state[p]) for g in optimizer.param_groups for p in g["params"]]
        return [late, *net.parameters()], states


STEPS = (plain_step, lambda optimizer: optimizer.step)


def assert_equal(first, second):
    for one, other in zip(first[0], second[0], strict=True):
        assert torch.equal(one, other)
    for one, other in zip(first[1], second[1], strict=True):
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    ("kind", "fused"),
    [
        (AdamW, True),
        (partial(AdamW, weight_decay=0.1), True),
        (partial(AdamW, foreach=True), False),
        (partial(partial(AdamW, fused=False), weight_decay=0.1), False),
        (SGD, False),
        (partial(SGD, momentum=0.9), False),
    ],
)
def test_a_kernel_is_chosen_where_it_fits_and_nobody_chose_another(kind, fused):
    weights = [nn.Parameter(torch.ones(2))]
    assert has_fused_kernel(kind, torch.device("cpu"), weights, {"lr": 0.1}) is fused
    kind(weights, lr=0.1, **({"fused": True} if fused else {}))
