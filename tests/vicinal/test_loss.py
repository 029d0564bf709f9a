"""The vicinal loss against torch's own soft-target loss and against plain loops."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from skmixup.vicinal import CutMix, Mixup
from skmixup.vicinal.draw import Draw
from skmixup.vicinal.loss import first_output, mixed_target_loss, row_losses, vicinal_loss

N, C = 9, 4


@pytest.fixture
def logits():
    return torch.from_numpy(np.random.default_rng(0).normal(size=(N, C)) * 2)


@pytest.fixture
def target():
    return torch.tensor([0, 1, 2, 3, 3, 2, 1, 0, 2])


def draw_pairs(mix_per):
    return Mixup(1.0, mix_per=mix_per).draw(
        torch.zeros(N, 1, dtype=torch.float64), np.random.default_rng(1)
    )


def mixed_one_hot(target, draw):
    one_hot = F.one_hot(target, C).double()
    return draw.apply(one_hot)


@pytest.mark.parametrize("mix_per", ["batch", "sample"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weighted", [False, True])
def test_it_is_the_cross_entropy_of_the_mixed_label(logits, target, mix_per, smoothing, weighted):
    class_weight = torch.tensor([0.5, 2.0, 1.0, 3.0], dtype=torch.float64) if weighted else None
    criterion = nn.CrossEntropyLoss(class_weight, label_smoothing=smoothing)
    draw = draw_pairs(mix_per)
    # torch's loss on probabilities averages over rows, also with class weights.
    expected = criterion(logits, mixed_one_hot(target, draw))
    actual = vicinal_loss(criterion, logits, target, draw)
    torch.testing.assert_close(actual, expected, atol=1e-10, rtol=0)


@pytest.mark.parametrize("mix_per", ["batch", "sample"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_it_is_the_double_sum_written_out(logits, target, mix_per, smoothing):
    class_weight = torch.tensor([0.5, 2.0, 1.0, 3.0], dtype=torch.float64)
    weight = torch.from_numpy(np.random.default_rng(2).uniform(0, 3, size=N))
    draw = draw_pairs(mix_per)
    lam = draw.lam.expand(N)
    log_p = torch.log_softmax(logits, dim=1)
    total = 0.0
    for i in range(N):
        for share, row in [(lam[i], i), (1 - lam[i], int(draw.partner[i]))]:
            for c in range(C):
                label = (1 - smoothing) * float(target[row] == c) + smoothing / C
                total -= share * weight[row] * class_weight[c] * label * log_p[i, c]
    criterion = nn.CrossEntropyLoss(class_weight, label_smoothing=smoothing)
    actual = vicinal_loss(criterion, logits, target, draw, weight)
    torch.testing.assert_close(actual, total / N, atol=1e-10, rtol=0)


def test_cutmix_labels_use_the_same_sum(logits, target):
    draw = CutMix().draw(torch.zeros(N, 1, 5, 5, dtype=torch.float64), np.random.default_rng(1))
    one_hot = F.one_hot(target, C).double()
    expected = nn.CrossEntropyLoss()(
        logits, draw.lam * one_hot + (1 - draw.lam) * one_hot[draw.partner]
    )
    actual = vicinal_loss(nn.CrossEntropyLoss(), logits, target, draw)
    torch.testing.assert_close(actual, expected, atol=1e-7, rtol=0)


def test_mixing_two_averaged_losses_would_be_wrong_with_class_weights(logits, target):
    # The trap of rule 5: each average is divided by its own sum of class weights.
    class_weight = torch.tensor([0.5, 2.0, 1.0, 30.0], dtype=torch.float64)
    criterion = nn.CrossEntropyLoss(class_weight)
    draw = draw_pairs("batch")
    averaged = torch.lerp(
        criterion(logits, target[draw.partner]), criterion(logits, target), draw.lam
    )
    assert abs(float(averaged - vicinal_loss(criterion, logits, target, draw))) > 0.1


def test_unmixed_and_unweighted_it_is_the_criterion_itself(logits, target):
    criterion = nn.CrossEntropyLoss()
    actual = vicinal_loss(criterion, logits, target, Draw())
    torch.testing.assert_close(actual, criterion(logits, target))


def test_rows_of_weight_zero_have_no_gradient_unless_a_partner_has_weight(logits, target):
    weight = torch.ones(N, dtype=torch.float64)
    weight[3] = 0
    logits.requires_grad_()
    vicinal_loss(nn.CrossEntropyLoss(), logits, target, Draw(), weight).backward()
    assert torch.equal(logits.grad[3], torch.zeros(C, dtype=torch.float64))
    assert bool((logits.grad[[0, 1, 2, 4]] != 0).all())


def test_label_of_a_row_of_weight_zero_does_not_matter_when_mixed(logits, target):
    weight = torch.ones(N, dtype=torch.float64)
    weight[3] = 0
    draw = draw_pairs("sample")
    relabelled = target.clone()
    relabelled[3] = 0
    criterion = nn.CrossEntropyLoss()
    assert vicinal_loss(criterion, logits, target, draw, weight) == vicinal_loss(
        criterion, logits, relabelled, draw, weight
    )


def test_reduction_sum_does_not_divide(logits, target):
    draw = draw_pairs("sample")
    mean = vicinal_loss(nn.CrossEntropyLoss(), logits, target, draw)
    total = vicinal_loss(nn.CrossEntropyLoss(reduction="sum"), logits, target, draw)
    torch.testing.assert_close(total, N * mean)


@pytest.mark.parametrize("n_rows", [1, 3, N])
def test_the_mean_is_over_the_rows_of_this_minibatch(logits, target, n_rows):
    criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
    some, labels = logits[:n_rows], target[:n_rows]
    torch.testing.assert_close(
        vicinal_loss(criterion, some, labels, Draw()), criterion(some, labels)
    )


@pytest.mark.parametrize("mix_per", ["batch", "sample"])
def test_the_gradient_is_that_of_the_soft_target_loss(logits, target, mix_per):
    draw = draw_pairs(mix_per)
    # Columns of a wider output, as a module with several heads may return them.
    logits = torch.cat([logits, logits], dim=1)[:, :C].requires_grad_()
    criterion = nn.CrossEntropyLoss()
    expected = torch.autograd.grad(criterion(logits, mixed_one_hot(target, draw)), logits)
    actual = torch.autograd.grad(vicinal_loss(criterion, logits, target, draw), logits)
    torch.testing.assert_close(actual, expected, atol=1e-12, rtol=0)


def test_the_loss_of_half_precision_logits_is_computed_in_single_precision(logits, target):
    half = logits.bfloat16().requires_grad_()
    loss = vicinal_loss(nn.CrossEntropyLoss(), half, target, Draw())
    torch.testing.assert_close(loss, nn.CrossEntropyLoss()(half.float(), target))
    loss.backward()
    assert half.grad.dtype == torch.bfloat16


def test_class_weights_may_be_more_precise_than_the_logits(logits, target):
    class_weight = torch.tensor([0.5, 2.0, 1.0, 3.0], dtype=torch.float64)
    criterion = nn.CrossEntropyLoss(class_weight)
    single = vicinal_loss(criterion, logits.float(), target, Draw())
    assert single.dtype == torch.float32
    assert float(single) == pytest.approx(float(vicinal_loss(criterion, logits, target, Draw())))


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_the_criterions_reduction_is_put_back(logits, target, reduction):
    criterion = nn.CrossEntropyLoss(reduction=reduction)
    row_losses(criterion, logits, target)
    assert criterion.reduction == reduction
    with pytest.raises(IndexError):
        row_losses(criterion, logits, target + 100)
    assert criterion.reduction == reduction


def test_several_targets_per_row_are_averaged():
    output, target = torch.randn(3, 2, dtype=torch.float64), torch.zeros(3, 2, dtype=torch.float64)
    expected = (output**2).mean(dim=1)
    torch.testing.assert_close(row_losses(nn.MSELoss(), output, target), expected)


def test_squared_error_is_averaged_over_pairs_not_over_mixed_targets():
    # λ(z − y_i)² + (1 − λ)(z − y_j)², which is not (z − λy_i − (1 − λ)y_j)².
    output = torch.tensor([[1.0], [1.0]])
    target = torch.tensor([[0.0], [2.0]])
    draws = (
        Mixup((1e6, 1e6)).draw(torch.zeros(2, 1), np.random.default_rng(s)) for s in range(50)
    )
    draw = next(d for d in draws if d.partner.tolist() == [1, 0])
    loss = vicinal_loss(nn.MSELoss(), output, target, draw)
    assert float(loss) == pytest.approx(1.0, abs=1e-3)


class MeanOnly(nn.Module):
    """Returns one number, whatever its reduction."""

    def __init__(self, **attributes):
        super().__init__()
        vars(self).update(attributes)

    def forward(self, output, target):
        return F.cross_entropy(output, target)


ONE_NUMBER = [MeanOnly(), MeanOnly(reduction="mean"), MeanOnly(reduction=None), F.cross_entropy]


@pytest.mark.parametrize("criterion", ONE_NUMBER)
def test_of_a_criterion_that_returns_one_number_two_are_joined(logits, target, criterion):
    draw = draw_pairs("batch")
    expected = vicinal_loss(nn.CrossEntropyLoss(), logits, target, draw)
    torch.testing.assert_close(vicinal_loss(criterion, logits, target, draw), expected)
    plain = vicinal_loss(criterion, logits, target, Draw())
    torch.testing.assert_close(plain, F.cross_entropy(logits, target))


@pytest.mark.parametrize("criterion", ONE_NUMBER)
def test_a_criterion_without_losses_per_row_has_no_weights_and_no_lambda_per_pair(
    logits, target, criterion
):
    with pytest.raises(TypeError, match="need the loss of each row"):
        vicinal_loss(criterion, logits, target, draw_pairs("sample"))
    with pytest.raises(TypeError, match="need the loss of each row"):
        vicinal_loss(criterion, logits, target, Draw(), torch.ones(N))


def test_a_loss_of_another_shape_is_refused(logits, target):
    class Odd(nn.Module):
        reduction = "mean"

        def forward(self, output, target):
            return output[:4, 0]

    with pytest.raises(TypeError, match=r"criterion Odd returned a loss of shape \(4,\)"):
        row_losses(Odd(), logits, target)


class Focal(nn.Module):
    """Focal loss as users write it."""

    def __init__(self, gamma=2.0, reduction="mean"):
        super().__init__()
        self.gamma, self.reduction = gamma, reduction

    def forward(self, logits, target):
        log_p = F.log_softmax(logits, dim=1).gather(1, target[:, None]).squeeze(1)
        loss = -((1 - log_p.exp()) ** self.gamma) * log_p
        return loss if self.reduction == "none" else loss.mean()


@pytest.mark.parametrize("mix_per", ["batch", "sample"])
@pytest.mark.parametrize(
    "criterion",
    [Focal(), nn.MultiMarginLoss(), type("Own", (nn.CrossEntropyLoss,), {})(label_smoothing=0.1)],
)
def test_any_criterion_sees_the_members_as_rows(target, criterion, mix_per):
    logits = torch.from_numpy(np.random.default_rng(3).normal(size=(N, C, 5)))
    weight = torch.from_numpy(np.random.default_rng(4).uniform(0, 3, size=N))
    draw = draw_pairs(mix_per)
    each = [vicinal_loss(criterion, logits[:, :, k], target, draw, weight) for k in range(5)]
    expected = torch.stack(each).mean()
    torch.testing.assert_close(vicinal_loss(criterion, logits, target, draw, weight), expected)


def test_members_and_a_criterion_that_returns_one_number(target):
    logits = torch.from_numpy(np.random.default_rng(3).normal(size=(N, C, 5)))
    draw = draw_pairs("batch")
    expected = vicinal_loss(nn.CrossEntropyLoss(), logits, target, draw)
    torch.testing.assert_close(vicinal_loss(F.cross_entropy, logits, target, draw), expected)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_elements_are_reduced_as_torch_reduces_them(logits, target, reduction):
    labels = F.one_hot(target, C).double()
    criterion = nn.BCEWithLogitsLoss(reduction=reduction)
    torch.testing.assert_close(
        vicinal_loss(criterion, logits, labels, Draw()), criterion(logits, labels)
    )


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("ignored", [0, 2])
@pytest.mark.parametrize("kind", [nn.CrossEntropyLoss, type("Own", (nn.CrossEntropyLoss,), {})])
def test_rows_with_the_ignored_label_leave_the_sum_and_the_mean(
    logits, target, reduction, ignored, kind
):
    criterion = kind(ignore_index=ignored, reduction=reduction, label_smoothing=0.1)
    expected = nn.CrossEntropyLoss(ignore_index=ignored, reduction=reduction, label_smoothing=0.1)(
        logits, target
    )
    actual = vicinal_loss(criterion, logits, target, Draw())
    torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize("kind", [nn.CrossEntropyLoss, type("Own", (nn.CrossEntropyLoss,), {})])
def test_of_a_pair_with_one_ignored_label_the_other_counts(logits, target, kind):
    draw = draw_pairs("sample")
    log_p, lam = torch.log_softmax(logits, dim=1), draw.lam
    total = 0.0
    for i in range(N):
        for share, row in [(lam[i], i), (1 - lam[i], int(draw.partner[i]))]:
            if target[row] != 2:
                total -= share * log_p[i, target[row]]
    expected = total / int((target != 2).sum())
    actual = vicinal_loss(kind(ignore_index=2), logits, target, draw)
    torch.testing.assert_close(actual, expected)


def test_a_minibatch_of_ignored_labels_has_no_loss(logits):
    target = torch.full((N,), 2)
    assert vicinal_loss(nn.CrossEntropyLoss(ignore_index=2), logits, target, Draw()) == 0


def test_of_a_tuple_the_first_element_counts(logits, target):
    assert first_output((logits, None)) is logits
    criterion = nn.CrossEntropyLoss()
    of_tuple = vicinal_loss(criterion, (logits, "more"), target, Draw())
    assert of_tuple == vicinal_loss(criterion, logits, target, Draw())


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("form", ["cross-entropy", "any criterion"])
def test_of_several_networks_at_once_the_loss_is_the_mean_of_theirs(target, reduction, form):
    logits = torch.from_numpy(np.random.default_rng(3).normal(size=(N, C, 5)))
    weight = torch.from_numpy(np.random.default_rng(4).uniform(0, 3, size=N))
    draw = draw_pairs("sample")
    kind = nn.CrossEntropyLoss if form == "cross-entropy" else type("Own", (nn.NLLLoss,), {})
    criterion = kind(reduction=reduction)
    outputs = logits if form == "cross-entropy" else logits.log_softmax(dim=1)
    each = [vicinal_loss(criterion, outputs[:, :, k], target, draw, weight) for k in range(5)]
    expected = torch.stack(each).mean()
    torch.testing.assert_close(vicinal_loss(criterion, outputs, target, draw, weight), expected)


# ---- targets that are real values


@pytest.mark.parametrize("mix_per", ["batch", "sample"])
@pytest.mark.parametrize("weighted", [False, True])
def test_mixed_targets_have_the_gradient_of_the_sum_over_both_targets(mix_per, weighted):
    rng = np.random.default_rng(2)
    output = torch.from_numpy(rng.normal(size=(N, 2))).requires_grad_()
    target = torch.from_numpy(rng.normal(size=(N, 2)))
    weight = torch.from_numpy(rng.uniform(size=N)) if weighted else None
    if weighted:
        weight[:3] = 0
    draw = Mixup(1.0, mix_per=mix_per).draw(target, rng)
    loss = mixed_target_loss(nn.MSELoss(), output, target, draw, weight)
    lam = draw.lam.expand(N)
    w = torch.ones(N) if weight is None else weight
    own = ((output - target) ** 2).mean(dim=1)
    other = ((output - target[draw.partner]) ** 2).mean(dim=1)
    expected = (lam * w * own + (1 - lam) * w[draw.partner] * other).mean()
    (found,) = torch.autograd.grad(loss, output)
    (wanted,) = torch.autograd.grad(expected, output)
    torch.testing.assert_close(found, wanted)


def test_without_weights_the_target_is_the_mixture():
    rng = np.random.default_rng(3)
    output, target = torch.from_numpy(rng.normal(size=(2, N, 3)))
    draw = Mixup(0.5, mix_per="sample").draw(target, rng)
    lam = draw.lam.unsqueeze(1)
    mixed = lam * target + (1 - lam) * target[draw.partner]
    for criterion in (nn.HuberLoss(), nn.L1Loss()):
        torch.testing.assert_close(
            mixed_target_loss(criterion, output, target, draw), criterion(output, mixed)
        )


def test_members_share_a_mixed_target():
    rng = np.random.default_rng(4)
    output = torch.from_numpy(rng.normal(size=(N, 2, 3)))
    target = torch.from_numpy(rng.normal(size=(N, 2)))
    draw = Mixup(1.0).draw(target, rng)
    each = [mixed_target_loss(nn.MSELoss(), output[:, :, k], target, draw) for k in range(3)]
    torch.testing.assert_close(
        mixed_target_loss(nn.MSELoss(), output, target, draw), torch.stack(each).mean()
    )


@pytest.mark.parametrize("n_classes", [5, 40])
def test_the_loss_of_members_is_the_mean_of_theirs_also_where_classes_are_many(n_classes):
    apart = torch.randn(3, N, n_classes, dtype=torch.float64, requires_grad=True)
    target, draw = torch.arange(N), draw_pairs("sample")
    target = target % n_classes
    criterion = nn.CrossEntropyLoss(torch.rand(n_classes).double() + 0.5, label_smoothing=0.1)
    loss = vicinal_loss(criterion, apart.permute(1, 2, 0), target, draw)
    expected = sum(vicinal_loss(criterion, logits, target, draw) for logits in apart) / 3
    torch.testing.assert_close(loss, expected)
    gradients = [torch.autograd.grad(value, apart)[0] for value in (loss, expected)]
    torch.testing.assert_close(*gradients)
