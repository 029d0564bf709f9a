"""Which part of a fit gets which of the arguments that users pass beside X and y."""

from collections.abc import Mapping
from typing import Any

from sklearn import get_config
from sklearn.utils import Bunch
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing


def router(owner: Any, estimator: Any, splitter: Any, scorer: Any) -> MetadataRouter:
    """Who may ask for metadata of ``fit``: the owner itself, its estimator, splitter, scorer."""
    parts = {"estimator": "fit", "splitter": "split", "scorer": "score"}
    objects = {"estimator": estimator, "splitter": splitter, "scorer": scorer}
    # by name: scikit-learn before 1.7 copies the owner, which an iterator as its cv forbids
    made = MetadataRouter(owner=type(owner).__name__).add_self_request(owner)
    for name, method in parts.items():
        mapping = MethodMapping().add(caller="fit", callee=method)
        made.add(method_mapping=mapping, **{name: objects[name]})
    return made


def routed_fit_params(owner: Any, params: Mapping[str, Any]) -> Bunch:
    """The arguments of ``estimator.fit``, ``splitter.split`` and ``scorer.score``.

    Without metadata routing groups are the splitter's, all others the estimator's; those of its
    networks that hold out rows get groups by :mod:`~skmixup.ensemble.groups`.
    """
    if get_config()["enable_metadata_routing"]:
        return process_routing(owner, "fit", **params)
    rest = {name: value for name, value in params.items() if name != "groups"}
    groups = {"groups": params["groups"]} if params.get("groups") is not None else {}
    return Bunch(estimator=Bunch(fit=rest), splitter=Bunch(split=groups), scorer=Bunch(score={}))
