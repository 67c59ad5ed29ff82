"""One association, estimated: linear, logistic, Cox and mixed models from statsmodels and lifelines, and what to do

where they fail.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from edge.errors import OperatorError
from training.statistics.age_term import AgeTerm, age_columns, age_knots
from training.statistics.by_cluster import Coefficient, Level, coefficient

Floats = NDArray[np.float64]
Scale = Literal["days", "sd", "odds", "hazard"]
FEW_EVENTS = 10
"""Events a parameter below which a Cox or logistic model is warned of (Peduzzi et al., 1995)."""
FEW_CAGES = 20
SANDWICH_LIMIT = "lifelines leaves entry times out of them: 0-8% off"
LEAST_FREEDOM = 4
"""Satterthwaite's degrees of freedom below which even bias-reduced errors are rough (Tipton, 2015)."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What one model says of x. estimate, low, high: 95%; natural logarithm where scale is odds or hazard.

    n: animals, or cages where they are the unit; events: deaths, or the rarer of two outcomes.
    """

    estimate: float
    low: float
    high: float
    p: float
    n: int
    scale: Scale
    method: str
    events: int | None = None
    warnings: list[str] = field(default_factory=list)


def design(
    table: pd.DataFrame, x: str, covariates: list[str], term: AgeTerm = "spline", units: int | None = None
) -> pd.DataFrame:
    """Return intercept, x and covariates as numbers: text becomes indicators, what does not vary is left out.

    The covariate age_days becomes several columns, the first named as it is (`age_columns`). units: how many animals
    or cages the rows belong to, None where each row is one; it decides how many knots the curve has.
    """
    parts: dict[str, Floats] = {"intercept": np.ones(len(table)), x: table[x].to_numpy(float)}
    for name in covariates:
        values = table[name]
        if name == "age_days":
            ages = values.to_numpy(float)
            columns = age_columns(ages, age_knots(ages, units or len(table), term))
            parts |= {f"{name} curve {at}" if at else name: column for at, column in enumerate(columns.T)}
        elif pd.api.types.is_numeric_dtype(values):
            parts[name] = values.to_numpy(float) - float(values.mean())
        else:
            for level in sorted(values.unique())[1:]:
                parts[f"{name} {level}"] = (values == level).to_numpy(float)
    kept = {name: part for name, part in parts.items() if name == "intercept" or np.ptp(part) > 0}
    return pd.DataFrame(kept, index=table.index)


def check(matrix: pd.DataFrame, x: str) -> list[str]:
    """Return warnings on collinearity.

    Raises:
        OperatorError: x does not vary, follows from the covariates, or there are too few animals for the model.
    """
    if x not in matrix:
        raise OperatorError(f"column {x}: expected values that differ, got one value only")
    if len(matrix) < matrix.shape[1] + 2:
        raise OperatorError(f"column {x}: expected at least {matrix.shape[1] + 2} animals, got {len(matrix)}")
    others = matrix.drop(columns=[x]).to_numpy()
    values = matrix[x].to_numpy()
    left = values - others @ np.linalg.lstsq(others, values, rcond=None)[0]
    inflation = float(np.var(values) / max(float(np.var(left)), 1e-300))
    if inflation > 1e8:
        raise OperatorError(
            f"column {x}: it follows exactly from the covariates, so that its effect cannot be separated"
        )
    return [f"collinear with the covariates (variance inflation {inflation:.1f})"] if inflation > 5 else []


def linear(outcome: Floats, matrix: pd.DataFrame, x: str, cages: pd.Series | None, scale: Scale) -> Effect:
    """Return ordinary least squares, with errors by cage that hold with few of them (CR2) where animals share cages.

    Else with errors that hold where the spread differs between animals (HC3; Long and Ervin, 2000): gap and phenotypes
    both scatter more in old animals, and with the usual errors that alone doubles the false positives.
    """
    import statsmodels.api as sm

    clusters = _clusters(cages)
    alone = _decided_alone(matrix) if clusters is None else np.zeros(len(matrix), bool)
    outcome, matrix = outcome[~alone], matrix[~alone]
    matrix = matrix.loc[:, [name in ("intercept", x) or np.ptp(part) > 0 for name, part in matrix.items()]]
    remarks = check(matrix, x)
    if alone.any():
        remarks.append(f"{alone.sum()} with a covariate's value that no other has: they say nothing of the effect")
    if clusters is not None:
        found = coefficient(outcome, matrix.to_numpy(float), list(matrix).index(x), clusters)
        if found is None:
            raise OperatorError(
                f"column {x}: {len(np.unique(clusters))} cages are too few for an error by cage; add other cages"
            )
        name = "linear (OLS), errors by cage (CR2, Satterthwaite)"
        remarks += _few_freedom(found, len(np.unique(clusters)), "cage")
        return Effect(found.estimate, found.low, found.high, found.p, len(matrix), scale, name, None, remarks)
    fit = sm.OLS(outcome, matrix).fit(cov_type="HC3", use_t=True)
    low, high = fit.conf_int().loc[x]
    name = "linear (OLS), HC3 errors"
    return Effect(float(fit.params[x]), low, high, float(fit.pvalues[x]), len(matrix), scale, name, None, remarks)


def _decided_alone(matrix: pd.DataFrame) -> NDArray[np.bool_]:
    """Return which rows the model fits exactly whatever they are: HC3 divides by 0 there, and they decide nothing."""
    leverage = (np.linalg.svd(matrix.to_numpy(float), full_matrices=False)[0] ** 2).sum(axis=1)
    found: NDArray[np.bool_] = (leverage > 1 - 1e-9) & (len(matrix) > matrix.shape[1])
    return found


def logistic(outcome: Floats, matrix: pd.DataFrame, x: str, cages: pd.Series | None) -> Effect:
    """Return logistic regression; Firth's penalised one (1993) where the outcome is separated or none converges."""
    import statsmodels.api as sm
    from statsmodels.tools.sm_exceptions import PerfectSeparationError

    remarks = check(matrix, x)
    events = int(min(outcome.sum(), (1 - outcome).sum()))
    if events / (matrix.shape[1] - 1) < FEW_EVENTS:
        remarks.append(f"few events: {events} for {matrix.shape[1] - 1} parameters, fewer than {FEW_EVENTS} each")
    clusters = _clusters(cages)
    arguments = {} if clusters is None else {"cov_type": "cluster", "cov_kwds": {"groups": clusters}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            fit = sm.Logit(outcome, matrix).fit(disp=False, maxiter=100, **arguments)
            scaled = np.abs(fit.params * matrix.std(ddof=0))
            sound = fit.mle_retvals["converged"] and np.isfinite(fit.bse[x]) and scaled.max() < 10
        except (PerfectSeparationError, np.linalg.LinAlgError):
            sound = False
    if not sound:
        remarks.append("the outcome is (almost) separated or the model did not converge: Firth's penalised one instead")
        estimate, error = firth(outcome, matrix.to_numpy(), list(matrix).index(x))
        reach = 1.96 * error
        p = float(2 * stats.norm.sf(abs(estimate / error)))
        name = "logistic (Firth)"
        return Effect(estimate, estimate - reach, estimate + reach, p, len(matrix), "odds", name, events, remarks)
    low, high = fit.conf_int().loc[x]
    name = "logistic" if clusters is None else "logistic, errors by cage"
    return Effect(float(fit.params[x]), low, high, float(fit.pvalues[x]), len(matrix), "odds", name, events, remarks)


def firth(outcome: Floats, matrix: Floats, number: int) -> tuple[float, float]:
    """Return one coefficient of Firth's logistic regression and its standard error (Heinze and Schemper, 2002)."""
    spread = np.maximum(matrix.std(axis=0), 1e-12)
    spread[np.ptp(matrix, axis=0) == 0] = 1.0
    scaled = matrix / spread
    beta = np.zeros(scaled.shape[1])
    inverse = np.eye(len(beta))
    for _ in range(200):
        chance = 1 / (1 + np.exp(-np.clip(scaled @ beta, -30, 30)))
        weight = chance * (1 - chance)
        inverse = np.linalg.pinv((scaled * weight[:, None]).T @ scaled)
        leverage = weight * np.einsum("ij,jk,ik->i", scaled, inverse, scaled)
        step = inverse @ (scaled.T @ (outcome - chance + leverage * (0.5 - chance)))
        beta = beta + np.clip(step, -1, 1)
        if np.abs(step).max() < 1e-8:
            break
    return float(beta[number] / spread[number]), float(np.sqrt(inverse[number, number]) / spread[number])


def cox(
    time: Floats, event: Floats, entry: Floats | None, matrix: pd.DataFrame, x: str, cages: pd.Series | None
) -> Effect:
    """Return Cox regression with left truncation at `entry`; ridge-penalised where it does not converge."""
    from lifelines import CoxPHFitter
    from lifelines.exceptions import ConvergenceError
    from lifelines.statistics import proportional_hazard_test

    remarks = check(matrix, x)
    events = int(event.sum())
    table = matrix.drop(columns=["intercept"]).assign(_time=time, _event=event)
    parameters = table.shape[1] - 2
    if events / parameters < FEW_EVENTS:
        remarks.append(f"few events: {events} for {parameters} parameters, fewer than {FEW_EVENTS} each")
    arguments = {"duration_col": "_time", "event_col": "_event"}
    if entry is not None:
        table["_entry"] = entry
        arguments["entry_col"] = "_entry"
    clusters = _clusters(cages)
    if clusters is not None:
        table["_cage"] = clusters
        arguments["cluster_col"] = "_cage"
        remarks += _few_cages(clusters)
    name = "Cox" + (", left-truncated" if entry is not None else "") + (", errors by cage" if "_cage" in table else "")
    if entry is not None and clusters is not None:
        name += f" ({SANDWICH_LIMIT})"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            fit = CoxPHFitter().fit(table, **arguments)
            sound = bool(np.isfinite(fit.summary.loc[x, "se(coef)"])) and abs(fit.params_[x]) * table[x].std() < 10
        except (ConvergenceError, np.linalg.LinAlgError, ValueError):
            sound = False
        if not sound:
            remarks.append("the model did not converge: a ridge-penalised one (0.1) instead, its effect is too small")
            fit, name = CoxPHFitter(penalizer=0.1).fit(table, **arguments), f"{name} (ridge)"
        elif entry is None:
            test = proportional_hazard_test(fit, table, time_transform="rank").summary
            if float(test.loc[x, "p"]) < 0.05:
                remarks.append(f"the hazard ratio changes with time (Schoenfeld residuals, p {test.loc[x, 'p']:.3f})")
    row = fit.summary.loc[x]
    low, high = row["coef lower 95%"], row["coef upper 95%"]
    return Effect(float(row["coef"]), low, high, float(row["p"]), len(table), "hazard", name, events, remarks)


def mixed(outcome: Floats, matrix: pd.DataFrame, x: str, subjects: pd.Series, cages: pd.Series | None) -> Effect | None:
    """Return a linear mixed model, random intercepts of animals (within cages where shared), errors by animal or cage.

    The intercepts only weigh the rows. The errors (CR2) hold as well where animals have slopes of their own, or scatter
    more when they are old: a random intercept alone then finds 9 to 17% of what is not there. None where the clusters
    allow no error.
    """
    shared = cages is not None and cages.nunique() >= 5 and cages.nunique() < subjects.nunique()
    remarks = check(matrix, x)
    animals = Level(pd.factorize(subjects)[0], 0.0)
    homes = Level(pd.factorize(cages)[0], 0.0) if shared and cages is not None else None
    shares = _shares(outcome, matrix, animals, homes)
    if shares is None:
        remarks.append("the mixed model did not converge: rows of an animal are weighed as if correlated at 0.5")
        shares = (1.0, 0.0)
    levels = (replace(animals, share=shares[0]), *([replace(homes, share=shares[1])] if homes is not None else []))
    clusters = levels[-1].members
    found = coefficient(outcome, matrix.to_numpy(float), list(matrix).index(x), clusters, levels)
    if found is None:
        return None
    unit = "cage" if shared else "animal"
    remarks += _few_freedom(found, len(np.unique(clusters)), unit)
    name = f"mixed (animal{' in cage' if shared else ''}), errors by {unit} (CR2, Satterthwaite)"
    count = int(subjects.nunique())
    return Effect(found.estimate, found.low, found.high, found.p, count, "days", name, None, remarks)


def _shares(outcome: Floats, matrix: pd.DataFrame, animals: Level, homes: Level | None) -> tuple[float, float] | None:
    """Return the variances of animals and cages over the residual one by REML, None where it does not converge."""
    import statsmodels.api as sm
    from statsmodels.regression.mixed_linear_model import VCSpec

    arguments: dict[str, Any] = {"groups": animals.members}
    if homes is not None:
        rows = [np.flatnonzero(homes.members == home) for home in range(int(homes.members.max()) + 1)]
        within = [_indicators(animals.members[own]) for own in rows]
        names = [[f"animal {number}" for number in range(one.shape[1])] for one in within]
        kind = VCSpec(["animal"], [names], [within])
        arguments = {"groups": homes.members, "exog_re": np.ones((len(outcome), 1)), "exog_vc": kind}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            fit = sm.MixedLM(outcome, matrix.to_numpy(float), **arguments).fit(reml=True, method=["lbfgs", "cg"])
        except (np.linalg.LinAlgError, ValueError):
            return None
    scale, outer = float(fit.scale), float(np.asarray(fit.cov_re)[0, 0])
    own, home = (float(fit.vcomp[0]), outer) if homes is not None else (outer, 0.0)
    sound = bool(fit.converged) and scale > 0 and bool(np.isfinite([own, home]).all()) and min(own, home) >= 0
    return (own / scale, home / scale) if sound else None


def _indicators(members: NDArray[np.intp]) -> Floats:
    found: Floats = (members[:, None] == np.unique(members)[None]).astype(np.float64)
    return found


def _clusters(cages: pd.Series | None) -> NDArray[np.intp] | None:
    """Return cage numbers where animals share cages, else None."""
    if cages is None or cages.eq("").any() or cages.nunique() == len(cages) or cages.nunique() < 3:
        return None
    codes: NDArray[np.intp] = pd.factorize(cages)[0]
    return codes


def _few_freedom(found: Coefficient, count: int, unit: str) -> list[str]:
    if found.freedom >= LEAST_FREEDOM:
        return []
    return [
        f"{count} {unit}s leave {found.freedom:.1f} degrees of freedom: below {LEAST_FREEDOM} the interval is wide "
        "and p rough"
    ]


def _few_cages(clusters: NDArray[np.intp]) -> list[str]:
    count = len(np.unique(clusters))
    return [f"{count} cages: errors by cage are too small below about {FEW_CAGES}"] if count < FEW_CAGES else []
