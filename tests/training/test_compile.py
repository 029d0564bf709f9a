"""Modules compiled by torch.compile are mixed as they are uncompiled."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from skmixup import ManifoldMixupClassifier, VicinalClassifier
from skmixup.networks import MLP
from skmixup.vicinal.layers import MixingHook
from tests.training.steps import X, Y, classifier, draw_at, hooks_of, sequential


def compiled(estimator=ManifoldMixupClassifier, **params):
    return classifier(estimator, compile=True, compile__backend="eager", **params)


@pytest.fixture
def _fresh_compiler():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.mark.usefixtures("_fresh_compiler")
class TestCompile:
    @pytest.mark.parametrize("mix_per", ["batch", "sample"])
    def test_compiled_code_mixes_at_hidden_layers(self, mix_per):
        net = compiled(max_epochs=0).fit(X, Y)
        plain, x = net.module_._orig_mod, torch.from_numpy(X)
        for seed, site in enumerate(["0", "2", "input", "0", "2", "2"]):
            draw = draw_at(site, seed=seed, mix_per=mix_per)
            cut = 0 if site == "input" else int(site) + 1
            layers = list(plain)
            h = nn.Sequential(*layers[:cut])(x)
            lam = draw.lam.expand(24).unsqueeze(1)
            expected = nn.Sequential(*layers[cut:])(lam * h + (1 - lam) * h[draw.partner])
            output, _ = net.forward_mixed(x, draw)
            torch.testing.assert_close(output, expected, atol=1e-6, rtol=0)
        assert torch.equal(net.module_(x), plain(x))

    @pytest.mark.parametrize("params", [{}, {"block_gradient": "below"}, {"mix_per": "sample"}])
    def test_a_compiled_fit_is_the_fit(self, params):
        params = {"alpha": 1.0, "max_epochs": 3, "batch_size": 8} | params
        expected = classifier(ManifoldMixupClassifier, **params).fit(X, Y)
        net = compiled(**params).fit(X, Y)
        assert np.allclose(net.predict_proba(X), expected.predict_proba(X), atol=1e-5)
        assert np.allclose(net.loss_curve_, expected.loss_curve_, atol=1e-5)

    def test_the_default_network_compiles(self):
        params = {"module": None, "module__hidden_sizes": (8, 8), "module__dropout": 0.0,
                  "alpha": 1.0, "max_epochs": 3}  # fmt: skip
        expected = classifier(ManifoldMixupClassifier, **params).fit(X, Y)
        net = compiled(**params).fit(X, Y)
        assert isinstance(net.module_._orig_mod, MLP)
        assert np.allclose(net.predict_proba(X), expected.predict_proba(X), atol=1e-5)
        assert np.allclose(net.predict_proba(X).sum(axis=1), 1)

    def test_hooks_that_stay_are_disarmed_when_the_module_fails(self):
        net = compiled(max_epochs=0).fit(X, Y)
        with pytest.raises(RuntimeError):
            net.forward_mixed(torch.zeros(24, 9), draw_at("2"))
        hooks = [h for h in hooks_of(net.module_._orig_mod) if isinstance(h, MixingHook)]
        assert {hook.site for hook in hooks} == {"0", "2"}
        assert all(hook.mix is None for hook in hooks)
        x = torch.from_numpy(X)
        assert torch.equal(net.module_(x), net.module_._orig_mod(x))

    def test_a_layer_that_had_no_hook_at_compilation_is_an_error(self):
        net = compiled(layers=[0], warm_start=True).fit(X, Y)
        net.set_params(layers=[1])
        with pytest.raises(RuntimeError, match="layer '0' was not among `layers` when"):
            net.fit(X, Y)

    def test_above_is_refused_before_training(self):
        net = compiled(block_gradient="above")
        with pytest.raises(ValueError, match=r"block_gradient='above' .* compile=True"):
            net.fit(X, Y)

    @pytest.mark.filterwarnings("ignore::UserWarning")
    @pytest.mark.parametrize("use_reentrant", [False, True])
    def test_a_layer_in_a_checkpoint_is_refused(self, use_reentrant):
        class Checkpointed(nn.Module):
            def __init__(self):
                super().__init__()
                self.stem, self.body, self.head = (
                    sequential()[:2],
                    nn.Linear(6, 6),
                    nn.Linear(6, 3),
                )

            def forward(self, x):
                return self.head(checkpoint(self.body, self.stem(x), use_reentrant=use_reentrant))

        net = compiled(module=Checkpointed, layers=["body"], alpha=1.0, max_epochs=1)
        with pytest.raises(RuntimeError, match=r"activation checkpoint .*use compile=False"):
            net.fit(X, Y)

    def test_code_compiled_for_another_fit_is_told_from_a_layer_that_is_not_called(self):
        compiled(VicinalClassifier, max_epochs=1).fit(X, Y)
        with pytest.raises(RuntimeError, match=r"torch\.compiler\.reset\(\)"):
            compiled(layers=["2"], alpha=1.0, max_epochs=1).fit(X, Y)
        torch.compiler.reset()
        compiled(layers=["2"], alpha=1.0, max_epochs=1).fit(X, Y)


@pytest.mark.usefixtures("_fresh_compiler")
@pytest.mark.parametrize(("drop_last", "expected"), [(True, 1), (False, 2)])
def test_a_fit_compiles_once_for_each_shape_of_a_minibatch(drop_last, expected):
    graphs = []

    def backend(graph, _inputs):
        graphs.append(graph)
        return graph.forward

    classifier(VicinalClassifier, compile=True, compile__backend=backend, batch_size=10,
               max_epochs=2, iterator_train__drop_last=drop_last).fit(X, Y)  # fmt: skip
    assert len(graphs) == expected
