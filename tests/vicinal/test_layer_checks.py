"""Facts about layers that cannot be mixed at: an error before training, or "auto" goes round."""

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch import nn
from torch.utils.data import Dataset, IterableDataset

from skmixup import InterpolationConsistencyClassifier, ManifoldMixupClassifier
from skmixup.vicinal.layer_checks import check_hookable

RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 4)).astype(np.float32)
Y = np.arange(24) % 3
SEQUENCES = RNG.normal(size=(24, 24, 4)).astype(np.float32)  # as many steps as rows


class Began(Callback):
    began = False

    def on_batch_begin(self, net, *args, **kwargs):
        Began.began = True


def fit(module, X=X, **params):
    Began.began = False
    params = {"alpha": 1.0, "max_epochs": 1, "batch_size": 24, "random_state": 0} | params
    return ManifoldMixupClassifier(module, callbacks=[Began()], **params).fit(X, Y)


def refused(error, match, module, X=X, **params):
    with pytest.raises(error, match=match):
        fit(module, X, **params)
    assert not Began.began


class Sequence(nn.Module):
    """Steps first inside, as torch's recurrent and attention layers are by default."""

    def __init__(self, kind):
        super().__init__()
        self.embed = nn.Linear(4, 8)
        self.inner = {
            "transformer": lambda: nn.TransformerEncoderLayer(8, 2, 8, dropout=0.0),
            "tanh": nn.Tanh,
        }[kind]()
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        h = self.inner(self.embed(x.transpose(0, 1)))
        return self.head(h.mean(dim=0))


class Flattened(Sequence):
    """(rows · steps, features) inside."""

    def __init__(self):
        super().__init__("tanh")

    def forward(self, x):
        h = self.embed(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        return self.head(torch.tanh(h).mean(dim=1))


@pytest.mark.parametrize("layer", ["embed", "inner"])
@pytest.mark.parametrize("kind", ["transformer", "tanh"])
def test_steps_first_is_refused_even_where_the_sizes_agree(kind, layer):
    refused(
        ValueError, rf"first axis of what layer '{layer}' .* not the rows.*\(24, 3, 8\) for 3",
        lambda: Sequence(kind), SEQUENCES, layers=[layer],
    )  # fmt: skip


@pytest.mark.parametrize("steps", [1, 24])
def test_rows_times_steps_is_refused_unless_there_is_one_step(steps):
    if steps == 1:
        fit(Flattened, SEQUENCES[:, :1], layers=["embed"])
    else:
        refused(
            ValueError, r"'embed'.*\(72, 8\) for 3 rows", Flattened, SEQUENCES, layers=["embed"]
        )


class Applied(nn.Module):
    """A layer that does what it is told, between two linear ones."""

    def __init__(self, function):
        super().__init__()
        self.first, self.between, self.head = nn.Linear(4, 5), Function(function), nn.Linear(5, 3)

    def forward(self, x):
        return self.head(self.between(self.first(x)))


class Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, h):
        return self.function(h)


@pytest.mark.filterwarnings("ignore:the output of .* changes with the rows beside it")
@pytest.mark.parametrize(
    "function",
    [lambda h: h.flip(0), lambda h: h.roll(1, 0), lambda h: h.sort(dim=0).values],
    ids=["flip", "roll", "sort"],
)
def test_rows_in_another_order_are_refused(function):
    refused(
        ValueError, "layer 'between' returns is not the rows", lambda: Applied(function),
        layers=["between"],
    )  # fmt: skip


@pytest.mark.filterwarnings("ignore:the output of .* changes with the rows beside it")
@pytest.mark.parametrize(
    "function",
    [
        lambda h: h - h.mean(dim=0),
        lambda h: nn.functional.dropout(h, 0.5, training=True),
        lambda h: h * torch.rand(()),
        torch.zeros_like,
        lambda h: h / 0,
    ],
    ids=["batch statistics", "dropout", "random factor", "zeros", "nan"],
)
def test_what_normalises_or_is_random_may_be_mixed_at(function, mixed_at):
    fit(lambda: Applied(function), layers=["between"], max_epochs=0)
    assert mixed_at == [("between",)]


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(4, 5, batch_first=True)
        self.body, self.head = nn.Linear(5, 5), nn.Linear(5, 3)

    def forward(self, x):
        return self.head(torch.tanh(self.body(self.rnn(x)[0][:, -1])))


def test_several_tensors_are_refused_by_name_and_passed_over_by_auto(mixed_at):
    refused(TypeError, "output of layer 'rnn' is a tuple", Recurrent, SEQUENCES, layers=[1])
    fit(Recurrent, SEQUENCES)
    assert mixed_at[-1] == ("input", "body")


def test_a_tuple_of_one_tensor_is_mixed():
    class Alone(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head = Function(lambda h: (2 * h,)), nn.Linear(4, 3)

        def forward(self, x):
            return self.head(self.body(x)[0])

    net = fit(Alone, layers=["body"])
    x, draw = (
        torch.from_numpy(X),
        net.get_vicinity().draw(torch.from_numpy(X), net._rng_, ["body"]),
    )
    torch.testing.assert_close(net.forward_mixed(x, draw)[0], net.module_(draw.apply(x)))


def test_complex_numbers_are_refused_by_name():
    class Spectrum(nn.Module):
        def __init__(self):
            super().__init__()
            self.spectrum, self.head = Function(torch.fft.rfft), nn.Linear(3, 3)

        def forward(self, x):
            return self.head(self.spectrum(x).abs())

    refused(TypeError, "layer 'spectrum' has dtype torch.complex64; only real", Spectrum,
            layers=["spectrum"])  # fmt: skip


class Lists(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(4, 4) for _ in range(3)])
        self.unused, self.head = nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x):
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return self.head(x)


def test_auto_trains_a_module_with_a_list_of_layers(mixed_at):
    fit(Lists, max_epochs=10)
    assert mixed_at[-1] == ("input", "layers.0", "layers.1")
    fit(Lists, layers=[3])
    assert mixed_at[-1] == ("layers.2",)


def test_auto_enters_a_block_whose_parts_are_called_one_by_one(mixed_at):
    class OneByOne(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4), nn.Tanh())
            self.head = nn.Linear(4, 3)

        def forward(self, x):
            for layer in self.body:
                x = layer(x)
            return self.head(x)

    fit(OneByOne)
    assert mixed_at[-1] == ("input", "body.0", "body.2")
    refused(RuntimeError, "layer 'body' .* did not call it", OneByOne, layers=[1])


def test_a_layer_that_is_not_called_is_refused():
    refused(RuntimeError, "layer 'unused' .* did not call it", Lists, layers=["unused"])


@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_a_scripted_module_runs_no_hooks_inside():
    scripted = torch.jit.script(
        nn.Sequential(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)), nn.Linear(4, 3))
    )
    refused(ValueError, r"layer '0\.1' is scripted", lambda: scripted, layers=["0.1"])


@pytest.mark.parametrize("layers", ["auto", [1], ["0"]])
@pytest.mark.parametrize("wrap", [lambda net: net, nn.Sequential], ids=["bare", "wrapped"])
def test_a_module_that_is_compiled_already_is_told_what_to_do(wrap, layers):
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.Linear(4, 3))
    module = wrap(torch.compile(net, backend="eager"))
    if layers == ["0"] and wrap is nn.Sequential:
        layers = ["0._orig_mod.0"]
    refused(ValueError, "compiled already.*compile=True", module, layers=layers)
    fit(module, layers=[0])


# ---- layers that the rest of the module goes round


class Shortcut(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.branch, self.after = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        h = self.stem(x)
        return self.head(torch.tanh(self.after(h + torch.tanh(self.branch(h)))))


def test_a_layer_beside_a_shortcut_is_told_and_passed_over_by_auto(mixed_at):
    with pytest.warns(UserWarning, match="layer 'branch': not all that"):
        fit(Shortcut, layers=["branch"])
    fit(Shortcut)
    assert mixed_at[-1] == ("input", "stem", "after")


def test_without_a_layer_to_mix_at_auto_says_that_it_mixes_at_the_input(mixed_at):
    class OnlyTuples(Recurrent):
        def forward(self, x):
            return self.head(self.rnn(x)[0][:, -1])

    with pytest.warns(UserWarning, match=r"finds no hidden layer .*'rnn' is a tuple"):
        fit(OnlyTuples, SEQUENCES)
    assert mixed_at[-1] == ("input",)


@pytest.mark.parametrize("params", [{"alpha": 0.0}, {"mix_prob": 0.0}, {"mix_epochs": 0}])
def test_what_never_mixes_is_not_looked_at(params):
    net = fit(Recurrent, SEQUENCES, layers=["rnn"], **params)
    assert net.predict(SEQUENCES).shape == (24,)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_rows(n, mixed_at):
    net = ManifoldMixupClassifier(Lists, max_epochs=1, classes=[0, 1, 2])
    net.fit(X[:n], Y[:n])
    assert mixed_at[-1] == ("input", "layers.0", "layers.1")


def test_the_look_leaves_no_hook_and_no_trace_in_the_statistics():
    net = fit(lambda: nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, 3)),
              max_epochs=0)  # fmt: skip
    assert not any(layer._forward_hooks for layer in net.module_.modules())
    assert not net.module_[1].running_mean.any()


class Stream(IterableDataset):
    def __init__(self, X):
        self.X = X

    def __iter__(self):
        yield from zip(self.X, Y, strict=True)


def test_a_stream_is_looked_at_when_its_first_batch_comes(mixed_at):
    params = {"alpha": 1.0, "batch_size": 24, "classes": [0, 1, 2], "max_epochs": 2}
    clf = ManifoldMixupClassifier(Sequence, module__kind="tanh", layers=["inner"], **params)
    with pytest.raises(ValueError, match=r"'inner' .* not the rows.*\(24, 3, 8\) for 3"):
        clf.fit(Stream(SEQUENCES), None)
    clf = ManifoldMixupClassifier(Lists, random_state=0, **params).fit(Stream(X), None)
    assert mixed_at[-1] == ("input", "layers.0", "layers.1")
    stats = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, 3))
    clf = ManifoldMixupClassifier(stats, random_state=0, layers=["0"], **params)
    assert clf.fit(Stream(X), None).module_[1].num_batches_tracked == 2


def test_what_works_in_place_after_a_layer_is_no_shortcut(mixed_at):
    class InPlace(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head = nn.Linear(4, 5), nn.Linear(5, 3)

        def forward(self, x):
            return self.head(self.body(x).add_(1.0).relu_())

    fit(InPlace, layers=["body"])
    assert mixed_at == [("body",)]


def test_inner_layers_of_torchs_transformer_are_called(mixed_at):
    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            layer = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True)
            self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
            self.head = nn.Linear(4, 3)

        def forward(self, x):
            return self.head(self.encoder(x).mean(dim=1))

    fit(Encoder, SEQUENCES)
    assert mixed_at[-1] == (
        "input",
        "encoder.layers.0",
        "encoder.layers.1",
    )
    with pytest.warns(UserWarning, match=r"'encoder\.layers\.0\.linear1': not all that"):
        fit(Encoder, SEQUENCES, layers=["encoder.layers.0.linear1"])


def test_layers_of_bfloat16(mixed_at):
    class Half(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head = nn.Linear(4, 64), nn.Linear(64, 3)
            self.bfloat16()

        def forward(self, x):
            return self.head(torch.tanh(self.body(x.bfloat16()))).float()

    fit(Half, layers=["body"])
    assert mixed_at == [("body",)]


def test_texts_are_not_looked_at():
    class Texts(Dataset):
        def __len__(self):
            return 24

        def __getitem__(self, i):
            return "ab" * (i + 1), Y[i]

    class Lengths(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head = nn.Linear(1, 4), nn.Linear(4, 3)

        def forward(self, texts):
            return self.head(torch.tanh(self.body(torch.tensor([[float(len(t))] for t in texts]))))

    class Classifier(ManifoldMixupClassifier):
        def infer(self, x, **fit_params):
            return self.module_(x, **fit_params)

        def _on_device(self, x):
            return x

    clf = Classifier(Lengths, layers=["body"], alpha=0.0, max_epochs=1, classes=[0, 1, 2])
    assert clf.fit(Texts(), None).n_iter_ == 1


def test_mixup_layers_may_be_one_name(mixed_at):
    net = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))
    net.mixup_layers = "1"
    fit(net)
    assert mixed_at[-1] == ("input", "1")


def test_interpolation_consistency_looks_when_only_labelled_rows_are_mixed():
    y = np.where(np.arange(24) < 12, Y, -1)
    params = {"layers": ["unused"], "max_epochs": 1}
    clf = InterpolationConsistencyClassifier(Lists, alpha=0.0, labeled_alpha=1.0, **params)
    with pytest.raises(RuntimeError, match=r"layer 'unused' .* did not call it"):
        clf.fit(X, y)
    InterpolationConsistencyClassifier(Lists, alpha=0.0, **params).fit(X, y)


def test_wrong_names_are_told_also_where_nothing_is_mixed():
    refused(ValueError, r"layers has 'tail'", Lists, layers=["tail"], alpha=0.0)


def test_rows_that_are_spread_over_devices_are_mixed_at_the_input_only():
    parallel = nn.DataParallel(Lists())
    check_hookable(parallel, "module.layers.0")
    parallel.device_ids = [0, 1]
    with pytest.raises(ValueError, match=r"'module\.layers\.0' is inside DataParallel on 2"):
        check_hookable(parallel, "module.layers.0")
