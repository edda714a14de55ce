"""Labels that a table of a prior may name, where only the catalogue of the data knows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from escalation_forecast.indicator_rows import options_of
from escalation_forecast.prior_spec import OTHERS, nearest
from escalation_forecast.schema import DataError
from escalation_forecast.spending_panel import LATE_AGES

if TYPE_CHECKING:
    from escalation_forecast.priors import Priors
    from escalation_forecast.store import Store


def check_labels(priors: Priors, store: Store) -> None:
    """Refuse a table that names what the catalogue of a store does not know.

    What it knows and the panel of the day has not yet, such as an indicator that begins later, is fine.

    Raises
    ------
    DataError
        With the prior and the nearest label.
    """
    for said in unknown_labels(priors, store):
        raise DataError(said)


def unknown_labels(priors: Priors, store: Store | None = None) -> list[str]:
    """A sentence for each label that the catalogue of a store, by default the embedded one, does not know."""
    tables = [
        (name, spec.dims[0], label)
        for name, spec in priors.items()
        for table in spec.parameters.values()
        if isinstance(table, dict) and OTHERS in table
        for label in table
        if label != OTHERS
    ]
    if not tables:
        return []
    known = _known(store)
    return [
        f"Prior '{name}' names '{label}', which is no {dim} of the catalogue; {nearest(label, known)}."
        for name, dim, label in dict.fromkeys(tables)
        if label not in known
    ]


def _known(store: Store | None) -> set[str]:
    if store is None:
        from escalation_forecast.store import Store

        store = Store.embedded()
    rows = store.indicators
    groups = {options_of(row).get("group", "") for row in rows.itertuples()}
    return {*rows["indicator"], *groups, *store.sources["source"], *(str(age) for age in LATE_AGES)} - {""}
