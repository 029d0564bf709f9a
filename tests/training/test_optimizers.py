"""Shortcuts around torch's optimizers."""

import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

from skmixup.training.optimizers import plain_step


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
        assert plain_step(self.optimizer()).__func__ is not torch.optim.AdamW.step
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
