"""The risk tables are the ones the literature uses, and encoding leaks nothing."""

import numpy as np
import pandas as pd
import pytest

from shared.data import risk


@pytest.mark.parametrize(
    ("load", "rows", "share"),
    [
        (risk.adult, 32_561, 0.2408),
        (lambda: risk.adult("test"), 16_281, 0.2362),
        (risk.compas, 6_172, 0.4551),
        (risk.german_credit, 1_000, 0.3),
        (risk.support, 9_105, 0.2592),
    ],
)
def test_sizes_and_outcomes(load, rows, share):
    table = load()
    assert len(table.X) == len(table.y) == len(table.groups) == rows
    assert table.y.mean() == pytest.approx(share, abs=5e-4) and set(table.y) == {0, 1}
    assert not set(table.X) & {"sex", "race", "income", "hospdead", "two_year_recid"}
    assert not table.groups.isna().any().any()
    matrix = risk.encoded(table.X)
    assert matrix.shape[0] == rows and np.isfinite(matrix).all()


def test_known_facts():
    people = risk.compas()
    by_race = people.y.groupby(people.groups["race"]).mean()
    assert by_race["African-American"] == pytest.approx(0.523, abs=0.002)
    assert by_race["Caucasian"] == pytest.approx(0.391, abs=0.002)
    assert set(risk.german_credit().groups["sex"]) == {"male", "female"}
    with pytest.raises(ValueError, match="choose train or test"):
        risk.adult("valid")


def test_encoding_is_fitted_on_the_named_rows_only():
    X = pd.DataFrame({"a": [0.0, 2.0, np.nan, 100.0], "b": ["x", "y", "x", "z"]})
    got = risk.encoded(X, fit_on=np.array([0, 1, 2]))
    want = [[-1, 0, 1, 0], [1, 0, 0, 1], [0, 1, 1, 0], [99, 0, 0, 0]]
    assert got.tolist() == want
