"""The classifier of rows."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

from portanet.sklearn.classification import BaseClassifier
from portanet.sklearn.parameters import TABLES


@dataclass(eq=False, repr=False)
class MLPClassifier(BaseClassifier):
    """Multi-layer perceptron classifier: scikit-learn's, with further arguments, on any device.

    For the same `random_state` it trains the network that scikit-learn trains, up to rounding.

    Parameters
    ----------
    hidden_layer_sizes : array-like of int, or int, default=(100,)
        Units of each hidden layer.
    activation : {'identity', 'logistic', 'tanh', 'relu'}, another name, Layer, or a list of these, default='relu'
        Activation of the hidden layers, or a list with one for each; :func:`portanet.custom_activation` makes your own.
    solver : {'lbfgs', 'sgd', 'adam'}, default='adam'
        Minimiser of the loss; 'lbfgs' is SciPy's L-BFGS-B over all samples at once.
    alpha : float, default=0.0001
        Strength of the L2 penalty, alpha/2 Σ W² divided by the number of samples of the batch.
    batch_size : int or 'auto', default='auto'
        Samples a step; 'auto' is min(200, n_samples).
    learning_rate : {'constant', 'invscaling', 'adaptive'}, default='constant'
        Course of the rate of 'sgd': constant, learning_rate_init / t^power_t, or divided by 5 without improvement.
    learning_rate_init : float, default=0.001
        Learning rate at the start.
    power_t : float, default=0.5
        Exponent of 'invscaling'.
    max_iter : int, default=200
        Largest number of epochs, or of iterations of 'lbfgs'.
    shuffle : bool, default=True
        Whether each epoch has its own order of samples.
    random_state : int, RandomState instance or None, default=None
        Seed of initial weights, validation split and orders; the draws are scikit-learn's.
    tol : float, default=1e-4
        Least improvement that counts; for 'lbfgs' the largest gradient at which it ends.
    verbose : bool, default=False
        Whether to print the loss of each iteration.
    warm_start : bool or 'exact', default=False
        Whether `fit` continues from the last weights; 'exact' also keeps optimizer, rate and random numbers.
    momentum : float, default=0.9
        Momentum of 'sgd'.
    nesterovs_momentum : bool, default=True
        Whether that momentum is Nesterov's.
    early_stopping : bool, default=False
        Whether to stop when the score on a validation part no longer improves, and keep the best weights.
    validation_fraction : float, default=0.1
        Share of the samples in that part.
    beta_1 : float, default=0.9
        Decay rate of the first moment in 'adam'.
    beta_2 : float, default=0.999
        Decay rate of the second moment in 'adam'.
    epsilon : float, default=1e-8
        Number added to the denominator in 'adam'.
    n_iter_no_change : int, default=10
        Number of epochs without an improvement after which training ends.
    max_fun : int, default=15000
        Largest number of evaluations of the loss by 'lbfgs'.
    backend : str, Backend or None, default=None
        Where to train and predict, as 'numpy', 'cupy', 'torch:cuda:0', 'jax' or 'auto'; None is where the samples are.
    dtype : {'float32', 'float64'} or None, default=None
        Precision of the arithmetic; None is that of the samples, float64 for integers.
    dropout : float or list of float, default=0.0
        Share of each hidden layer's outputs that is dropped in training, or a list with one for each layer.
    batch_norm : bool, default=False
        Whether BatchNorm precedes each hidden layer's activation.
    optimizer : str, Optimizer or None, default=None
        Replaces `solver`, for example 'adamw', 'lion' or ``portanet.SGD(lr=0.1, clip_norm=1)``.
    schedule : str, Schedule or None, default=None
        Multiplies the learning rate, for example 'cosine' or ``portanet.OneCycle()``; replaces `learning_rate`.
    callbacks : list of portanet.Callback or None, default=None
        Called while it trains by epochs.
    class_weight : dict, 'balanced', list of dict or None, default=None
        Weights of the classes in the loss, {label: weight}; 'balanced' gives each class the same total weight.
    loss : str or Loss, default='log_loss'
        'log_loss' is the cross-entropy for the kind of labels; or another of portanet's losses.
    categorical_features : array-like of bool, int or str, 'from_dtype' or None, default=None
        Mask, positions or names of categorical features, or those that pandas or polars calls categorical. Each
        category, and a missing value, becomes a learned vector; the vector of an unknown one is 0.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, in the order of the probabilities.
    loss_ : float
        The loss at the end of training, penalty included.
    best_loss_, loss_curve_ : float or None, list of float
        The smallest loss of an epoch (None with `early_stopping`) and that of each; absent for 'lbfgs', like the next.
    best_validation_score_, validation_scores_ : float or None, list of float or None
        The best score of an epoch on the validation part and that of each, if there is one.
    coefs_, intercepts_ : list of arrays
        Weights (inputs, outputs) and biases of each layer, where the samples of the fit were.
    embeddings_, categories_ : list of arrays
        Vectors (categories, width) and categories, a missing value last, of each categorical feature, if any.
    is_categorical_ : ndarray of shape (n_features_in_,) or None
        Which features are categories; None if none is.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, if they had names that are strings.
    t_, n_iter_, n_layers_, n_outputs_ : int
        Number of samples seen so far, iterations of the last fit, layers (with input and output), and outputs.
    out_activation_ : str
        Name of the output activation.

    See Also
    --------
    MLPRegressor : The same for numbers.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from portanet.sklearn import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier((20,), solver="lbfgs", class_weight="balanced", random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.95
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {**BaseClassifier._parameter_constraints, **TABLES}

    hidden_layer_sizes: Any = (100,)
    activation: Any = "relu"
    _: KW_ONLY
    categorical_features: Any = None
