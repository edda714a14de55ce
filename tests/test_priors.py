from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from escalation_forecast.priors import Priors
from escalation_forecast.schema import THEATRES, DataError

FILE = """
[dims]
item = ["news_korea", "news_taiwan"]
level = ["none", "threat", "force"]

[priors.phi]
family = "Beta"
parameters = { alpha = 18, beta = 2 }
dims = ["theatre"]
reason = "Tension lasts for months"
source = "Assumption"
support = "unit"

[priors.loading]
family = "LogNormal"
parameters = { mu = { news_taiwan = -0.3, news_korea = -0.2 }, sigma = 0.3 }
dims = ["item"]
reason = "Positive by definition"
source = "Prototype"

[priors.drift]
family = "StudentT"
parameters = { nu = 4, mu = 0, sigma = 1 }
reason = "Fat tails"
source = "Assumption"

[priors.rho]
family = "Uniform"
parameters = { lower = 0, upper = 0.5 }
reason = "What persists belongs to the latent"
source = "Prototype"
support = "interval(0, 0.5)"

[priors.cutpoints]
family = "Dirichlet"
parameters = { a = [10, 3, 1] }
dims = ["theatre", "level"]
reason = "Base rates"
source = "Disputes 1993-2014"

[priors.step]
family = "Fixed"
parameters = { value = 0.2 }
reason = "Leaves no ridge"
source = "Prototype"
support = "positive"
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "priors.toml"
    file.write_text(FILE)
    return file


@pytest.fixture
def priors(path: Path) -> Priors:
    return Priors.load(path)


def test_file_is_read_with_its_parameters_dims_and_reasons(priors: Priors) -> None:
    assert priors.names == ("phi", "loading", "drift", "rho", "cutpoints", "step")
    phi = priors["phi"]
    assert (phi.family, phi.dims, phi.reason, phi.source) == (
        "Beta",
        ("theatre",),
        "Tension lasts for months",
        "Assumption",
    )
    assert phi.text == "Beta(alpha=18, beta=2)"
    assert priors["loading"].text == "LogNormal(mu={news_korea=-0.2, news_taiwan=-0.3}, sigma=0.3)"
    with pytest.raises(dataclasses.FrozenInstanceError):
        phi.family = "Normal"  # type: ignore[misc]


def test_unknown_name_names_the_nearest(priors: Priors) -> None:
    with pytest.raises(KeyError, match="nearest is 'loading'"):
        priors["loadings"]
    with pytest.raises(DataError, match="there is no prior 'loadnig'; the nearest is 'loading'"):
        priors.override({"loadnig": {"parameters": {"sigma": 1}}})


def test_override_changes_only_the_keys_given(priors: Priors) -> None:
    new = priors.override({"phi": {"parameters": {"beta": 4}}, "loading": {"parameters": {"sigma": 0.5}}})
    assert new["phi"].parameters == {"alpha": 18.0, "beta": 4.0}
    assert new["phi"].reason == priors["phi"].reason
    assert new["loading"].parameters["mu"] == priors["loading"].parameters["mu"]
    assert new["drift"] is priors["drift"]
    assert priors["phi"].parameters == {"alpha": 18.0, "beta": 2.0}, "the original must stay as it was"


def test_empty_override_changes_nothing(priors: Priors) -> None:
    assert priors.override({}).content_hash() == priors.content_hash()


def test_default_file_loads_and_gives_every_reason() -> None:
    default = Priors.default()
    assert len(default) > 0
    for spec in default.values():
        default.to_pymc_extras(spec.name)
        assert len(spec.reason) > 10, spec.name


def test_override_of_one_label_keeps_the_others(priors: Priors) -> None:
    new = priors.override({"loading": {"parameters": {"mu": {"news_korea": -0.5}}}})
    assert new["loading"].parameters["mu"] == {"news_korea": -0.5, "news_taiwan": -0.3}


def test_override_from_file_equals_override_from_dict(priors: Priors, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('[priors.phi]\nfamily = "Uniform"\nparameters = { lower = 0.5, upper = 1 }\n')
    from_file = priors.override(file)
    from_dict = priors.override({"phi": {"family": "Uniform", "parameters": {"lower": 0.5, "upper": 1.0}}})
    assert from_file.content_hash() == from_dict.content_hash() != priors.content_hash()


def test_changed_names_default_and_used_in_plain_text(priors: Priors) -> None:
    new = priors.override({"phi": {"parameters": {"alpha": 9}}, "step": {"parameters": {"value": 0.4}}})
    assert new.changed(priors) == [
        {"name": "phi", "default": "Beta(alpha=18, beta=2)", "used": "Beta(alpha=9, beta=2)"},
        {"name": "step", "default": "Fixed(value=0.2)", "used": "Fixed(value=0.4)"},
    ]
    assert priors.changed(priors) == []


def test_changed_sees_a_difference_in_the_last_digits(priors: Priors) -> None:
    assert priors.override({"step": {"parameters": {"value": 0.2000000001}}}).changed(priors)


def test_interval_gives_a_distribution_with_that_mass_in_it(priors: Priors) -> None:
    spec = priors.override({"phi": {"interval": [0.5, 0.9], "mass": 0.8}})["phi"]
    law = stats.beta(spec.parameters["alpha"], spec.parameters["beta"])
    assert law.cdf(0.9) - law.cdf(0.5) == pytest.approx(0.8, abs=0.005)
    drift = priors.override({"drift": {"interval": [2, 8]}})["drift"]
    assert drift.parameters["nu"] == 4.0
    assert drift.parameters["mu"] == pytest.approx(5, abs=0.01)


def test_hash_ignores_order_reasons_and_int_against_float(priors: Priors, tmp_path: Path) -> None:
    head, *tables = FILE.split("\n[priors.")
    file = tmp_path / "other.toml"
    file.write_text(
        "\n[priors.".join([head, *reversed(tables)])
        .replace("alpha = 18", "alpha = 18.0")
        .replace("Fat", "Thin")
    )
    assert Priors.load(file).content_hash() == priors.content_hash()
    assert json.loads(priors.canonical())["phi"]["parameters"] == {"alpha": 18.0, "beta": 2.0}


def test_list_over_labels_hashes_like_the_table(priors: Priors) -> None:
    by_list = priors.override({"phi": {"parameters": {"alpha": [18, 17, 16, 15, 14]}}})
    by_table = priors.override(
        {"phi": {"parameters": {"alpha": dict(zip(THEATRES, range(18, 13, -1), strict=True))}}}
    )
    assert by_list.content_hash() == by_table.content_hash()


def test_array_follows_the_models_order_of_labels(priors: Priors) -> None:
    spec = priors["loading"]
    np.testing.assert_array_equal(spec.array("mu"), [-0.2, -0.3])
    np.testing.assert_array_equal(spec.array("mu", {"item": ["news_taiwan", "news_korea"]}), [-0.3, -0.2])
    np.testing.assert_array_equal(spec.array("mu", {"item": ["news_taiwan"]}), [-0.3])
    with pytest.raises(DataError, match="no value for 'news_china'"):
        spec.array("mu", {"item": ["news_china"]})


def test_table_of_one_dim_broadcasts_over_the_other(priors: Priors, path: Path) -> None:
    path.write_text(FILE.replace('dims = ["item"]', 'dims = ["item", "theatre"]'))
    assert Priors.load(path)["loading"].array("mu").shape == (2, 1)


def test_pymc_variables_have_the_densities_of_the_file(priors: Priors) -> None:
    pm = pytest.importorskip("pymc")
    coords = {"theatre": list(THEATRES), "item": ["news_taiwan", "news_korea"], "level": ["a", "b", "c"]}
    with pm.Model(coords=coords) as model:
        for name in priors.names:
            priors.to_pymc_extras(name, coords).create_variable(name)
    assert model.named_vars_to_dims["cutpoints"] == ("theatre", "level")
    assert model["step"].eval() == 0.2
    assert "step" not in {v.name for v in model.free_RVs}
    mu = model["loading"].owner.op.dist_params(model["loading"].owner)[0].eval()
    np.testing.assert_allclose(np.broadcast_to(mu, 2), [-0.3, -0.2])
    assert model["cutpoints"].shape.eval().tolist() == [5, 3]


BROKEN = {
    "unknown family": ('"Beta"', '"Betta"', "phi.*unknown family 'Betta'"),
    "missing parameter": ("alpha = 18, ", "", "phi.*needs the parameter 'alpha'"),
    "extra parameter": ("beta = 2 ", "beta = 2, mu = 1 ", "phi.*no parameter 'mu'"),
    "zero scale": ("nu = 4, mu = 0, sigma = 1", "nu = 4, mu = 0, sigma = 0", "drift.*sigma is 0.*normalised"),
    "negative scale": ("sigma = 0.3", "sigma = -0.3", "loading.*sigma is -0.3.*cannot be normalised"),
    "not finite": ("nu = 4, mu = 0", "nu = 4, mu = nan", "drift.*mu is nan.*cannot be normalised"),
    "infinite bound": ("upper = 0.5", "upper = inf", "rho.*upper is inf.*cannot be normalised"),
    "bounds swapped": ("lower = 0,", "lower = 0.7,", "rho.*lower is not below upper"),
    "wider than the support": (
        "upper = 0.5",
        "upper = 0.6",
        r"rho.*can leave the support 'interval\(0, 0.5\)'",
    ),
    "negative constant": ("value = 0.2", "value = -0.2", "step.*can leave the support 'positive'"),
    "unknown support": ('"unit"', '"units"', "phi.*unknown support 'units'"),
    "syntax": ("alpha = 18,", "alpha = ,", "prior 'phi'.*not valid TOML.*line"),
    "duplicate key": ('reason = "Fat tails"', 'reason = "a"\nreason = "b"', "prior 'drift'.*not valid TOML"),
    "duplicate prior": ("[priors.rho]", "[priors.phi]", "prior 'phi'.*not valid TOML"),
    "wrong type": ("alpha = 18", 'alpha = "18"', "phi.*alpha must be a number"),
    "boolean": ("alpha = 18", "alpha = true", "phi.*alpha must be a number"),
    "label missing": ("news_taiwan = -0.3, ", "", "loading.*no value for the item 'news_taiwan'"),
    "label unknown": (
        "news_taiwan = -",
        "news_tawian = -",
        "unknown item 'news_tawian'; the nearest is 'news_t",
    ),
    "list too short": ("alpha = 18", "alpha = [18, 17]", r"phi.*list of 2.*theatre \(5\)"),
    "no reason": ('reason = "Fat tails"', "", "drift.*no 'reason'"),
    "key misspelt": (
        'source = "Disputes',
        'sorce = "Disputes',
        "cutpoints.*'sorce'; the nearest is 'source'",
    ),
    "prior without table": ("[priors.step]", "[prior.step]", "unknown table 'prior'"),
}


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: case.replace(" ", "_"))
def test_broken_file_is_refused_in_one_sentence(case: str, path: Path) -> None:
    old, new, message = BROKEN[case]
    assert old in FILE
    path.write_text(FILE.replace(old, new, 1))
    with pytest.raises(DataError, match=message) as caught:
        Priors.load(path)
    text = str(caught.value)
    assert str(path) in text
    assert text.endswith(".")
    assert "\n" not in text


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("loading", {"family": "Normal", "parameters": {"mu": 0, "sigma": 1}}, "'positive'.*LogNormal"),
        ("phi", {"dims": ["state"]}, "the model needs \\['theatre'\\]"),
        ("phi", {"support": "real"}, "the model needs 'unit'"),
        ("phi", {"family": "Uniform"}, "Uniform needs the parameter 'lower'"),
        (
            "phi",
            {"family": "Uniform", "parameters": {"lower": 0.2, "upper": 1.2}},
            "leave the support 'unit'",
        ),
        ("phi", {"parameters": 3}, "must be a table"),
        ("phi", {"parametres": {}}, "nearest is 'parameters'"),
        ("phi", {"interval": [2, 8]}, "does not fit Beta"),
        ("phi", {"interval": [0.9, 0.1]}, "low must be below high"),
        ("phi", {"interval": 0.9}, "two numbers"),
        ("phi", {"interval": [0.1, 0.9], "mass": 1.5}, "mass is 1.5"),
        ("phi", {"mass": 0.5}, "'mass' without 'interval'"),
        ("step", {"interval": [0, 1]}, "cannot set a Fixed prior"),
        ("loading", {"parameters": {"mu": {"news_china": 1}}}, "unknown item 'news_china'"),
        ("cutpoints", {"parameters": {"a": 3}}, "must be a list"),
        ("cutpoints", {"family": "Normal", "parameters": {"mu": 0, "sigma": 1}}, "support 'simplex'"),
    ],
)
def test_override_the_model_cannot_take_is_refused(
    priors: Priors, name: str, change: dict[str, object], message: str
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        priors.override({name: change})
    assert f"'{name}'" in str(caught.value)


def test_missing_file_says_which(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.toml: the prior file cannot be read"):
        Priors.load(tmp_path / "nowhere.toml")
