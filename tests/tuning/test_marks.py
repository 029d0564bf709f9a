"""A row counts only with its own design's mark: trials from elsewhere close no row."""

import optuna
import pytest
from optuna.trial import TrialState

from skmixup.tuning import UniformDesignSampler
from tests.tuning.studies import SPACE, objective, row, study_with

N_RUNS = 10


def sampler(**settings):
    return UniformDesignSampler(SPACE, **{"n_runs": N_RUNS} | settings)


def started_here(study):
    """The trials of the study's own design, by row."""
    marks = {
        key.removeprefix("skmixup:mark:")
        for key in study._storage.get_study_system_attrs(study._study_id)
        if key.startswith("skmixup:mark:")
    }
    own = [t for t in study.trials if t.system_attrs.get("skmixup:mark", [None])[0] in marks]
    return sorted(row(t) for t in own if t.state == TrialState.COMPLETE)


@pytest.mark.parametrize("seed", [0, 1], ids=["the same design", "another design"])
@pytest.mark.parametrize("when", ["before", "amid"])
def test_added_trials_of_another_study_close_no_row(seed, when):
    source = study_with(sampler(seed=seed))
    source.optimize(objective, n_trials=4)
    study = study_with(sampler())
    if when == "amid":
        study.optimize(objective, n_trials=3)
    study.add_trials(source.trials)
    study.optimize(objective)
    assert len(study.trials) == 4 + N_RUNS
    assert started_here(study) == list(range(N_RUNS))
    alone = study_with(sampler())
    alone.optimize(objective)
    ran = [t.params for t in study.trials if t.params not in [s.params for s in source.trials]]
    assert all(params in [t.params for t in alone.trials] for params in ran)


@pytest.mark.parametrize("state", [TrialState.RUNNING, TrialState.FAIL, TrialState.PRUNED])
def test_unfinished_and_failed_trials_of_another_study_close_no_row(state):
    source = study_with(sampler())
    source.optimize(objective, n_trials=3)
    study = study_with(sampler(retry_failed=False))
    for trial in source.trials:
        study.add_trial(
            optuna.create_trial(
                state=state,
                params=trial.params,
                distributions=trial.distributions,
                system_attrs=trial.system_attrs,
            )
        )
    study.optimize(objective)
    assert started_here(study) == list(range(N_RUNS))


def test_waiting_trials_of_another_study_run_no_row_of_theirs():
    source = study_with(sampler())
    source.optimize(objective, n_trials=6)
    study = study_with(sampler())
    for trial in source.trials[4:]:
        study.add_trial(
            optuna.create_trial(state=TrialState.WAITING, system_attrs=trial.system_attrs)
        )
    study.optimize(objective)
    assert started_here(study) == list(range(N_RUNS))
    assert len({t.params["lr"] for t in study.trials}) == len(study.trials) == N_RUNS


def test_a_copied_study_goes_on_where_it_stopped():
    storages = [optuna.storages.InMemoryStorage() for _ in range(2)]
    old = study_with(sampler(), storage=storages[0], study_name="a")
    old.optimize(objective, n_trials=4)
    optuna.copy_study(
        from_study_name="a", from_storage=storages[0], to_storage=storages[1], to_study_name="b"
    )
    new = optuna.load_study(study_name="b", storage=storages[1], sampler=sampler())
    new.optimize(objective)
    assert len(new.trials) == N_RUNS
    assert started_here(new) == list(range(N_RUNS))


def test_a_copied_study_with_added_trials_of_a_third():
    storage = optuna.storages.InMemoryStorage()
    old, third = (study_with(sampler(), storage=storage, study_name=n) for n in ("old", "third"))
    old.optimize(objective, n_trials=2)
    third.optimize(objective, n_trials=8)
    optuna.copy_study(
        from_study_name="old", from_storage=storage, to_storage=storage, to_study_name="new"
    )
    new = optuna.load_study(study_name="new", storage=storage, sampler=sampler())
    new.add_trials(third.trials)
    new.optimize(objective)
    assert started_here(new) == list(range(N_RUNS))


def test_rows_of_a_study_begun_before_there_were_marks_count():
    study = study_with(sampler())
    study.optimize(objective, n_trials=4)
    (attrs,) = (r.system_attrs for r in study._storage._studies.values())
    for key in [k for k in attrs if k.startswith("skmixup:mark:")]:
        del attrs[key]
    for trial in study._storage.get_all_trials(study._study_id, deepcopy=False):
        del trial.system_attrs["skmixup:mark"]
    study.sampler = sampler()
    study.optimize(objective)
    assert [row(t) for t in study.trials] == list(range(N_RUNS))


def test_zoom_looks_at_its_own_rows_only():
    source = study_with(UniformDesignSampler(n_runs=6, then="zoom"))
    source.optimize(objective, n_trials=12)
    study = study_with(UniformDesignSampler(n_runs=6, then="zoom"))
    study.add_trials(source.trials)
    study.optimize(objective, n_trials=12)
    assert started_here(study) == list(range(12))


@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_a_study_made_anew_under_the_same_id_is_not_known(tmp_path, kind):
    if kind == "sqlite":
        storage = optuna.storages.RDBStorage(f"sqlite:///{tmp_path / 's.db'}")
    else:
        backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / "s.log"))
        storage = optuna.storages.JournalStorage(backend)
    reused = UniformDesignSampler(n_runs=4)
    first = study_with(reused, storage=storage, study_name="s")
    first.optimize(lambda t: t.suggest_float("x", 0, 1))
    optuna.delete_study(study_name="s", storage=storage)
    second = study_with(reused, storage=storage, study_name="s")
    if kind == "sqlite":
        assert second._study_id == first._study_id
    second.optimize(lambda t: t.suggest_float("y", 0, 1) + t.suggest_int("k", 1, 4))
    assert started_here(second) == list(range(4))
    attrs = second._storage.get_study_system_attrs(second._study_id)
    columns = {k: v for k, v in attrs.items() if k.startswith("skmixup:column:")}
    assert columns == {"skmixup:column:y": 0, "skmixup:column:k": 1}
    # Another worker finds the same design there.
    third = optuna.load_study(
        study_name="s", storage=storage, sampler=UniformDesignSampler(n_runs=5)
    )
    with pytest.raises(ValueError, match="n_runs was 4 and is now 5"):
        third.ask()
