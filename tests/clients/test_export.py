"""The default networks leave torch: ONNX by both exporters, and torch.export."""

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from skmixup import ManifoldMixupClassifier, MixupClassifier
from skmixup.networks import MLP

RNG = np.random.default_rng(0)
CODES = np.arange(60) % 3
TABLE = (RNG.normal(size=(60, 5)) * [1, 1e-6, 1e6, 1, 1] + CODES[:, None]).astype(np.float32)
IMAGES = RNG.normal(size=(24, 2, 9, 6)).astype(np.float32)
EXTREME = np.array([[1e30] * 5, [-1e30] * 5, [1e38, -1e38] * 2 + [3.4e38]], dtype=np.float32)
FAST = {"max_epochs": 2, "lr": 0.02, "random_state": 0}

# Both are torch's own: the older exporter is on its way out, the newer one walks torch's trees.
pytestmark = [
    pytest.mark.filterwarnings("ignore:You are using the legacy:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The feature will be removed:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:`isinstance\\(treespec, LeafSpec:FutureWarning"),
]

#: torch 2.6 stumbles over dtypes that a network promotes and over sizes that are not numbers.
SINCE_2_7 = pytest.mark.skipif(torch.__version__ < "2.7", reason="torch 2.6 cannot read these")


def table_classifier(**options):
    return MixupClassifier(**FAST, module__hidden_sizes=(8, 8), **options).fit(TABLE, CODES)


CLASSIFIERS = {
    "table": (table_classifier, np.concatenate([TABLE, EXTREME])),
    "one member": (lambda: table_classifier(module__n_members=1), TABLE),
    "broken lines": (
        lambda: table_classifier(module__embedding="piecewise"),
        np.concatenate([TABLE, EXTREME]),
    ),
    "hidden mixing": (
        lambda: ManifoldMixupClassifier(**FAST, module__hidden_sizes=(8,)).fit(TABLE, CODES % 2),
        TABLE,
    ),
    "images": (
        lambda: MixupClassifier(**FAST, module__width=4).fit(IMAGES, CODES[:24]),
        IMAGES,
    ),
}


@pytest.fixture(params=CLASSIFIERS)
def fitted(request):
    make, rows = CLASSIFIERS[request.param]
    return make(), rows


@pytest.mark.parametrize("dynamo", [pytest.param(True, marks=SINCE_2_7), False])
def test_onnx_gives_the_logits_for_any_number_of_rows(fitted, dynamo, tmp_path):
    clf, rows = fitted
    module = clf.module_.eval()
    shapes = (
        {"dynamic_shapes": ({0: torch.export.Dim("n")},)}
        if dynamo
        else {"dynamic_axes": {"x": {0: "n"}, "logits": {0: "n"}}}
    )
    path = tmp_path / "network.onnx"
    torch.onnx.export(
        module,
        (torch.from_numpy(rows[:2]),),
        path,
        input_names=["x"],
        output_names=["logits"],
        dynamo=dynamo,
        **shapes,
    )
    session = onnxruntime.InferenceSession(path)
    with torch.no_grad():
        expected = module(torch.from_numpy(rows)).numpy()
    assert np.all(np.isfinite(expected))
    for n in (1, 2, 7, len(rows)):
        (logits,) = session.run(None, {"x": rows[:n]})
        np.testing.assert_allclose(logits, expected[:n], rtol=1e-5, atol=1e-5)
    proba = torch.softmax(torch.from_numpy(logits), dim=1).numpy()
    np.testing.assert_allclose(proba, clf.predict_proba(rows), atol=1e-5)
    assert np.array_equal(clf.classes_[logits.argmax(axis=1)], clf.predict(rows))


@pytest.mark.parametrize("strict", [True, pytest.param(False, marks=SINCE_2_7)])
def test_torch_export_gives_the_logits_for_any_number_of_rows(fitted, strict, tmp_path):
    clf, rows = fitted
    module = clf.module_.eval()
    dynamic = ({0: torch.export.Dim("n")},)
    example = (torch.from_numpy(rows[:2]),)
    program = torch.export.export(module, example, dynamic_shapes=dynamic, strict=strict)
    torch.export.save(program, tmp_path / "network.pt2")
    loaded = torch.export.load(tmp_path / "network.pt2").module()
    for n in (1, 5, len(rows)):
        x = torch.from_numpy(rows[:n])
        torch.testing.assert_close(loaded(x), module(x), rtol=1e-5, atol=1e-5)


def test_a_network_that_ends_in_probabilities_is_exported_like_any_other(tmp_path):
    clf = table_classifier()
    network = nn.Sequential(clf.module_.eval(), nn.Softmax(dim=1))
    path = tmp_path / "network.onnx"
    torch.onnx.export(network, (torch.from_numpy(TABLE[:2]),), path, dynamo=False)
    session = onnxruntime.InferenceSession(path)
    (proba,) = session.run(None, {session.get_inputs()[0].name: TABLE[:2]})
    np.testing.assert_allclose(proba, clf.predict_proba(TABLE[:2]), atol=1e-5)


@pytest.mark.filterwarnings("ignore:`torch.jit")
@pytest.mark.parametrize(
    "read", [pytest.param(torch.fx.symbolic_trace, marks=SINCE_2_7), torch.jit.script]
)
def test_what_reads_the_code_of_a_module_can_read_it(fitted, read):
    clf, rows = fitted
    module = clf.module_.eval()
    x = torch.from_numpy(rows[:7])
    torch.testing.assert_close(read(module)(x), module(x), rtol=1e-5, atol=1e-5)


def test_the_module_is_ready_after_fit(fitted):
    clf, rows = fitted
    with torch.no_grad():
        proba = clf.module_(torch.from_numpy(rows)).softmax(dim=1).numpy()
    np.testing.assert_allclose(proba, clf.predict_proba(rows), atol=1e-6)


@pytest.mark.filterwarnings("ignore:`torch.jit.trace")
def test_a_traced_network_takes_no_number_from_the_example():
    """A number that a trace makes a constant is a warning of torch; warnings are errors here."""
    module = MLP(5, 3, hidden_sizes=(8,)).eval()
    traced = torch.jit.trace(module, torch.zeros(2, 5))
    x = torch.randn(11, 5)
    torch.testing.assert_close(traced(x), module(x))
