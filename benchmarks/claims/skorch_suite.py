"""skorch's own tests with VicinalClassifier in the place of NeuralNetClassifier.

skorch installs its tests. They are run twice, as they are and with the class put in, and every
test that differs has to be explained: by a line of DIFFERENCES below, which is where behaviour
that is meant to differ is written down. Exit status 1 if one is not, or if a line explains none.

    python benchmarks/claims/skorch_suite.py [--write]
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from fnmatch import fnmatchcase
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.records import table, write_page

FILES = ["test_net.py", "test_classifier.py", "test_dataset.py", "test_helper.py", "callbacks"]

PLUGIN = """
import os
import sys
import types

flaky = types.ModuleType("flaky")  # reruns a test that fails; none here should
flaky.flaky = lambda *args, **kwargs: args[0] if args else lambda function: function
sys.modules.setdefault("flaky", flaky)

if os.environ.get("SKMIXUP_IN_PLACE"):
    import skorch

    from skmixup import VicinalClassifier

    skorch.NeuralNetClassifier = VicinalClassifier
"""

# What is meant to differ: the reason, then the tests that notice (shell patterns).
DIFFERENCES: dict[str, list[str]] = {
    "Defaults: 32 epochs, a batch size from the number of rows, AdamW, cross-entropy on logits.": [
        "*test_callback_is_called*",
        "*test_reinitializing_module_optimizer_message*",
        "*test_call_fit_twice_warmstart",
        "*test_call_partial_fit_after_fit",
        "*test_forward",
        "*test_multioutput_forward_iter",
        "*test_lr_callback_batch_steps_correctly*",
        "*test_reduce_lr_record_batch_step",
        "*test_no_parameter_updates_when_norm_0",
        "*test_batch_count*",
    ],
    "No row is held out unless `train_split` says so: there is no validation loss by default.": [
        "*test_history_default_keys",
        "*test_fit_with_dataset",
        "*test_no_grad_during_validation",
        "*test_fit_lbfgs_optimizer",
        "*test_batch_size_neg_1_uses_whole_dataset*",
        "*test_subclassing_epoch_scoring",
        "*TestNetWithDict*test_fit_predict_proba",
    ],
    "A callback that watches a score there will not be is an error before training.": [
        "*test_reduce_lr_monitor_with_string*",
        "*test_reduce_lr_monitor_passes_monitored_loss*",
        "*test_reduce_lr_raise_error_when_key_does_not_exist",
        "*TestEarlyStopping*test_typical_use_case_*",
        "*TestEarlyStopping*test_custom_scoring_*",
        "*TestEarlyStopping*test_stopping_big_absolute_threshold",
        "*TestEarlyStopping*test_wrong_threshold_mode",
    ],
    "`verbose=0`: nothing is printed by default.": [
        "*test_message_fit_with_initialized_net",
        "*test_reinitializing_module_optimizer_when_initialized_message*",
        "*test_weights_restore",
        "*test_set_params_on_custom_module_with_default_module_params_msg",
        "*test_set_params_on_custom_criterion_with_default_criterion_params_msg",
    ],
    "The repr is scikit-learn's: the class and the parameters that were changed.": [
        "*test_repr_*",
    ],
    "Errors name this class, or come in other words.": [
        "*test_not_init_raises*",
        "*test_not_fitted_raises",
        "*test_fit_with_dataset_one_item_error",
        "*test_predict_with_dataset_one_item_error",
        "*test_fit_with_dataset_three_items_error",
        "*test_predict_with_dataset_three_items_error",
        "*test_error_when_classes_could_not_be_inferred",
        "*test_pass_empty_classes_raises*",
        "*test_try_fitting_trimmed_net_raises",
        "*test_try_trimmed_net_partial_fit_raises",
        "*test_one_dimensional_x_raises",
        "*test_predict_nonlinearity_type_error",
    ],
    "A network that was loaded or initialised without a fit needs `classes=` to predict labels.": [
        "*test_save_load_state_dict*",
        "*test_predict_with_dataset",
        "*test_multioutput_predict",
    ],
    "Modules that are given as instances are copied, so that the parameter stays untrained.": [
        "*test_custom_module_is_init_when_default_module_already_is",
        "*test_modules_reinit_when_both_initialized_but_custom_module_changed",
    ],
    "At least two classes, one logit for each; `classes` are the labels that y may hold.": [
        "*test_correct_*_pass_through_scores",
        "*test_non_binary_classes_set_by_default",
        "*test_classes_data_torch_tensor",
        "*test_classes_with_gaps",
        "*test_pass_classes_explicitly_overrides",
        "*test_classes_are_set_with_tensordataset_*",
    ],
    "`fit` takes X, y, sample_weight and groups; further inputs of the module come in a dict X.": [
        "*test_fit_params_passed_to_*",
        "*test_data_dict_and_fit_params*",
        "*TestMetadataRouting*",
        "*test_train_net_after_copy*",
        "*TestNetWithList*",
    ],
    "A DataFrame is a table, not a dict of columns.": ["*TestNetWithPandas*"],
    "y is needed, and has as many labels for each row.": [
        "*TestNetWithoutY*",
        "*test_net_variable_*",
    ],
    "Sparse X is refused, as scikit-learn's estimators refuse it that cannot use it.": [
        "*test_fit_sparse_csr_learns",
    ],
    "`lr` is above 0, and `device` one that torch knows.": [
        "*test_initialization_is_effective*",
        "*test_moving_custom_modules_to_device",
        "*test_set_params_on_custom_module_preserves_its_device",
    ],
    "Rows that are not predicted are an error (`iterator_valid__drop_last`).": [
        "*test_predict_nonlinearity_none",
    ],
    "The module is run on two rows before training, and arrays are predicted in larger batches.": [
        "*test_criterion_training_set_correctly",
        "*test_net_overrides_caching*",
        "*test_predict_nonlinearity_called_with_*",
    ],
    "`module_`, `criterion_` and `optimizer_` are what they say: no stand-in, no other name.": [
        "*test_gradient_accumulation*",
        "*test_custom_non_default_module_with_check_is_fitted",
        "*test_no_module_reinit_*",
    ],
    '`device="auto"` stays what it is in the parameters; safetensors knows no such device.': [
        "*test_save_load_safetensors_used*",
        "*test_pickle_save_load_device_is_none",
    ],
}


def outcomes(tests: Path, *, in_place: bool) -> dict[str, str]:
    """Run the tests; the first line of the failure of each that failed, "" for one that passed."""
    report = tests / f"report-{in_place}.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "plugin", "-p", "no:cacheprovider"]
    command += ["-W", "ignore", f"--junit-xml={report}", f"--rootdir={tests}"]
    env = {**os.environ, "SKMIXUP_IN_PLACE": "1" if in_place else ""}
    root = Path(__file__).parents[2]
    env["PYTHONPATH"] = os.pathsep.join(map(str, [tests, root]))
    subprocess.run(
        [*command, *(str(tests / "suite" / name) for name in FILES)],
        env=env,
        cwd=tests,
        check=False,
        capture_output=True,
    )
    found = {}
    for case in ET.parse(report).iter("testcase"):
        name = f"{case.get('classname', '').removeprefix('suite.')}.{case.get('name')}"
        failures = [*case.iter("failure"), *case.iter("error")]
        if case.find("skipped") is None or failures:
            message = failures[0].get("message", "?") if failures else ""
            found[name] = message.strip().splitlines()[0] if message.strip() else ""
    return found


def compare() -> tuple[int, dict[str, str]]:
    """Return the number of tests, and those that pass with skorch's class and fail with ours."""
    import skorch.tests

    with tempfile.TemporaryDirectory() as folder:
        tests = Path(folder)
        shutil.copytree(Path(skorch.tests.__file__).parent, tests / "suite")
        (tests / "plugin.py").write_text(PLUGIN)
        theirs, ours = (outcomes(tests, in_place=which) for which in (False, True))
    return len(theirs), {
        name: message for name, message in ours.items() if message and not theirs.get(name, "?")
    }


def page(n_tests: int, differing: dict[str, str]) -> tuple[str, int]:
    """The page, and the number of tests and reasons that do not belong to each other."""
    import skorch

    left = dict(differing)
    lines = [
        "# skorch's own tests",
        "",
        "Made by `python benchmarks/claims/skorch_suite.py --write`: the tests that skorch "
        f"{skorch.__version__} installs, with `VicinalClassifier` in the place of "
        f"`NeuralNetClassifier`. {n_tests} tests run with skorch's class; {len(differing)} of "
        "those that pass with it fail with ours, for these reasons:",
        "",
    ]
    rows, idle = [], []
    for reason, patterns in DIFFERENCES.items():
        noticed = [name for name in left if any(fnmatchcase(name, p) for p in patterns)]
        for name in noticed:
            del left[name]
        short = sorted({name.split("[")[0].split(".")[-1] for name in noticed})
        if noticed:
            rows.append([reason, f"{len(noticed)}: {', '.join(f'`{s}`' for s in short)}"])
        else:
            idle.append(reason)
    lines.append(table(["what differs", "tests that notice"], rows))
    if left:
        lines += ["Not explained:", "", *(f"* `{k}`: {v}" for k, v in left.items()), ""]
    for reason in idle:
        print(f"explains no test: {reason}")
    return "\n".join(lines), len(left) + len(idle)


def main() -> None:
    """Run both, print the page, and say by the exit status whether all is explained."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the page in results/")
    args = parser.parse_args()
    text, n_unexplained = page(*compare())
    if args.write:
        write_page("skorch_suite", text)
    else:
        print(text)
    sys.exit(n_unexplained > 0)


if __name__ == "__main__":
    main()
