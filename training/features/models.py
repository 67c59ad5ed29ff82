"""The regressors among which the training folds choose: scikit-learn pipelines from raw columns to a number.

Whatever is learnt from data (medians, scales, categories) is learnt inside the pipeline, so only on training rows.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

GP_ROWS = 400
"""A Gaussian process costs the cube of its rows; it is fitted on at most this many, drawn from the seed."""

NAMES = ("ridge-1", "ridge-30", "ridge-1000", "svr-1", "svr-10", "gaussian-process", "forest", "boosting")


def make_model(name: str, categories: Sequence[str], columns: Sequence[str], seed: int) -> Any:
    """Return the unfitted pipeline of this name (one of NAMES); its last step is `model`."""
    from sklearn.pipeline import Pipeline

    scaled = name.startswith(("ridge", "svr", "gaussian"))
    return Pipeline([("columns", _columns(categories, columns, scaled=scaled)), ("model", _MAKERS[name](seed))])


def fit_model(
    name: str,
    features: Any,
    target: NDArray[np.float64],
    weights: NDArray[np.float64] | None,
    categories: Sequence[str],
    seed: int,
) -> Any:
    """Return the pipeline fitted on these rows; weights (n,) or None."""
    from sklearn.exceptions import ConvergenceWarning

    model = make_model(name, categories, list(features.columns), seed)
    if name == "gaussian-process":
        if len(target) > GP_ROWS:
            chosen = np.random.default_rng([seed, 43]).choice(len(target), GP_ROWS, replace=False)
            features, target = features.iloc[chosen], target[chosen]
        with warnings.catch_warnings():
            # A kernel's scale at the end of its range is an answer too; the inner folds judge it.
            warnings.simplefilter("ignore", ConvergenceWarning)
            return model.fit(features, target)
    return model.fit(features, target, model__sample_weight=weights)


def _columns(categories: Sequence[str], columns: Sequence[str], *, scaled: bool) -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

    numbers: list[Any] = [SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)]
    if scaled:
        # A value of 8 standard deviations is an error of measurement more often than a mouse.
        numbers += [StandardScaler(), FunctionTransformer(np.clip, kw_args={"a_min": -8, "a_max": 8})]
    texts = make_pipeline(
        SimpleImputer(strategy="constant", fill_value="missing", missing_values=None),
        OneHotEncoder(handle_unknown="ignore", min_frequency=2, sparse_output=False),
    )
    numeric = [name for name in columns if name not in set(categories)]
    return ColumnTransformer([("numbers", make_pipeline(*numbers), numeric), ("texts", texts, list(categories))])


def _standardised(model: Any) -> Any:
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.preprocessing import StandardScaler

    return TransformedTargetRegressor(model, transformer=StandardScaler())


def _ridge(alpha: float) -> Callable[[int], Any]:
    def make(seed: int) -> Any:
        from sklearn.linear_model import Ridge

        return _standardised(Ridge(alpha=alpha))

    return make


def _svr(cost: float) -> Callable[[int], Any]:
    def make(seed: int) -> Any:
        from sklearn.svm import SVR

        return _standardised(SVR(C=cost, epsilon=0.1))

    return make


def _gaussian_process(seed: int) -> Any:
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, DotProduct, WhiteKernel

    kernel = 0.5 * RBF(10.0, (1.0, 1e3)) + 0.01 * DotProduct(1.0) + WhiteKernel(0.3, (1e-4, 10))
    return _standardised(GaussianProcessRegressor(kernel, optimizer=_few_steps, random_state=seed))


def _few_steps(objective: Any, start: Any, bounds: Any) -> tuple[Any, float]:
    """Return the kernel's parameters after at most 15 steps of L-BFGS-B; the likelihood is flat beyond."""
    from scipy.optimize import minimize

    found = minimize(objective, start, method="L-BFGS-B", jac=True, bounds=bounds, options={"maxiter": 15})
    return found.x, found.fun


def _forest(seed: int) -> Any:
    from sklearn.ensemble import ExtraTreesRegressor

    return ExtraTreesRegressor(200, max_features=1 / 3, min_samples_leaf=2, random_state=seed, n_jobs=1)


def _boosting(seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(
        max_iter=150,
        learning_rate=0.07,
        max_leaf_nodes=12,
        min_samples_leaf=8,
        l2_regularization=1.0,
        max_features=0.5,
        early_stopping=False,
        random_state=seed,
    )


_MAKERS: dict[str, Callable[[int], Any]] = {
    "ridge-1": _ridge(1),
    "ridge-30": _ridge(30),
    "ridge-1000": _ridge(1000),
    "svr-1": _svr(1),
    "svr-10": _svr(10),
    "gaussian-process": _gaussian_process,
    "forest": _forest,
    "boosting": _boosting,
}
