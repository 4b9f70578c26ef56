"""The same training in other libraries, as their own users write it.

Each function takes a workload and returns one that trains for so many epochs, in shuffled batches, with the loss kept;
it waits until all is done. Imports stand inside: each runs in a process of its own, where its library is installed.
"""

from __future__ import annotations

import functools
import itertools
import os
import warnings
from collections.abc import Callable
from typing import Any

from portanet import optimizers
from portanet.bench.workloads import Workload

Run = Callable[[int], object]


def network(
    workload: Workload, conv: Any, dense: Any, activation: Any, pool: Any, dropout: Any, flatten: Any
) -> list[Any]:
    """Return the layers of a workload's network; `conv` and `dense` take the sizes in and out, `activation` a name."""
    layers = []
    if workload.image:
        for inputs, units in ((1, 32), (32, 64)):
            layers += [conv(inputs, units), activation("relu")]
        layers += [pool(2), dropout(0.25), flatten()]
    for inputs, units in itertools.pairwise(workload.sizes[:-1]):
        layers += [dense(inputs, units), activation(workload.hidden), *([dropout(0.5)] if workload.image else [])]
    layers += [dense(*workload.sizes[-2:])]
    return [*layers, activation("sigmoid")] if workload.loss == "squared" else layers


def portanet(workload: Workload, backend: str = "numpy") -> Run:
    """Train by :class:`portanet.Trainer`."""
    import portanet as pn
    from portanet.layers.custom import ACTIVATIONS

    net = network(
        *(workload, lambda i, n: pn.Conv2D(n, 3), lambda i, n: pn.Dense(n)),
        *(ACTIVATIONS.get, pn.MaxPool2D, pn.Dropout, pn.Flatten),
    )
    loss = {"softmax": "softmax_cross_entropy", "binary": "binary_cross_entropy", "squared": "sum_squared_error"}
    optimizer = optimizers.get(workload.optimizer, lr=workload.lr)
    trainer = pn.Trainer(net, loss[workload.loss], optimizer, backend=backend, seed=0)
    x, y = map(trainer.backend.asarray, workload.data())  # as it is with the others, they are there before
    return lambda epochs: trainer.fit(x, y, epochs=epochs, batch_size=workload.batch, verbose=False)


def limit(workload: Workload) -> Run:
    """Compute the matrix products of a step and nothing else, into ready buffers, by NumPy."""
    import numpy as np

    shapes: list[tuple[int, int, int]] = []
    for i, (rows, inputs, units, _) in enumerate(workload.layers):
        shapes += [(rows, inputs, units), (inputs, rows, units), *([(rows, units, inputs)] if i else [])]
    products = [[np.ones(shape, np.float32) for shape in ((r, k), (k, c), (r, c))] for r, k, c in shapes]

    def run(epochs: int) -> None:
        for _ in range(epochs * workload.steps):
            for a, b, out in products:
                np.matmul(a, b, out=out)

    return run


def torch(workload: Workload, device: str = "cpu", mode: str = "") -> Run:
    """Train by PyTorch, eagerly or by ``torch.compile`` in that mode; its products as exact on a GPU as on the CPU."""
    import torch
    from torch import nn

    activation = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid}
    layers = network(
        *(workload, lambda i, n: nn.Conv2d(i, n, 3), nn.Linear, lambda name: activation[name]()),
        *(nn.MaxPool2d, nn.Dropout, nn.Flatten),
    )
    net = nn.Sequential(*layers).to(device)
    torch.backends.cudnn.allow_tf32 = False
    kind = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[workload.optimizer]
    optimizer = kind(net.parameters(), lr=workload.lr)
    x, y = (torch.from_numpy(a).to(device) for a in workload.data())
    x = x.permute(0, 3, 1, 2).contiguous() if workload.image else x
    criterion: Callable[[Any, Any], Any] = nn.CrossEntropyLoss()
    if workload.loss == "binary":
        criterion, y = nn.BCEWithLogitsLoss(), y.float()[:, None]
    elif workload.loss == "squared":
        y = nn.functional.one_hot(y, workload.sizes[-1]).float()
        criterion = lambda output, target: 0.5 * ((output - target) ** 2).sum() / len(output)  # noqa: E731

    def plain(x: Any, y: Any) -> Any:
        return criterion(net(x), y)

    forward: Callable[[Any, Any], Any] = torch.compile(plain, mode=mode) if mode else plain
    n, batch = workload.samples, workload.batch

    def run(epochs: int) -> None:
        total = torch.zeros((), device=device)
        for _ in range(epochs):
            order = torch.randperm(n, device=device)
            for start in range(0, n, batch):
                rows = order[start : start + batch]
                loss = forward(x[rows], y[rows]) if batch < n else forward(x, y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                total += loss.detach()
        float(total)

    return run


def jax(workload: Workload) -> Run:
    """Train by a hand-written program: ``jax.jit`` of a step, ``jax.value_and_grad`` for its gradients."""
    import jax
    from jax import lax, random
    from jax import numpy as jnp

    x, y = map(jnp.asarray, workload.data())
    target = y.astype(jnp.float32)[:, None] if workload.loss == "binary" else jax.nn.one_hot(y, workload.sizes[-1])
    he = jax.nn.initializers.he_normal()
    keys = iter(random.split(random.key(0), 16))
    kernels = [(3, 3, 1, 32), (3, 3, 32, 64)] if workload.image else []
    shapes = [*kernels, *itertools.pairwise(workload.sizes)]
    params = [(he(next(keys), shape, jnp.float32), jnp.zeros(shape[-1])) for shape in shapes]
    hidden = {"relu": jax.nn.relu, "sigmoid": jax.nn.sigmoid}[workload.hidden]

    def drop(value: Any, rate: float, key: Any) -> Any:
        return jnp.where(random.bernoulli(key, 1 - rate, value.shape), value / (1 - rate), 0.0)

    def forward(params: Any, value: Any, key: Any) -> Any:
        if workload.image:
            for w, b in params[:2]:
                value = lax.conv_general_dilated(value, w, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
                value = hidden(value + b)
            value = lax.reduce_window(value, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
            value = drop(value.reshape(len(value), -1), 0.25, key)
        for w, b in params[len(kernels) : -1]:
            value = hidden(value @ w + b)
            value = drop(value, 0.5, random.fold_in(key, 1)) if workload.image else value
        return value @ params[-1][0] + params[-1][1]

    def loss(params: Any, x: Any, t: Any, key: Any) -> Any:
        z = forward(params, x, key)
        if workload.loss == "softmax":
            return -jnp.mean(jnp.sum(t * jax.nn.log_softmax(z), axis=-1))
        if workload.loss == "binary":
            return jnp.mean(jnp.maximum(z, 0) - z * t + jnp.log1p(jnp.exp(-jnp.abs(z))))
        return 0.5 * jnp.mean(jnp.sum((jax.nn.sigmoid(z) - t) ** 2, axis=-1))

    def step(state: Any, order: Any, i: Any, x: Any, t: Any, key: Any) -> Any:
        params, moments, count = state
        if order is not None:
            rows = lax.dynamic_slice_in_dim(order, i * batch, batch)
            x, t = x[rows], t[rows]
        value, grads = jax.value_and_grad(loss)(params, x, t, random.fold_in(key, count))
        count = count + 1
        if workload.optimizer == "adam":
            m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, moments[0], grads)
            v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, moments[1], grads)
            moments, scale = (m, v), workload.lr * jnp.sqrt(1 - 0.999**count) / (1 - 0.9**count)
            params = jax.tree.map(lambda p, m, v: p - scale * m / (jnp.sqrt(v) + 1e-8), params, m, v)
        else:
            params = jax.tree.map(lambda p, g: p - workload.lr * g, params, grads)
        return (params, moments, count), value

    compiled = jax.jit(step, donate_argnums=0)
    moments = tuple(jax.tree.map(jnp.zeros_like, params) for _ in range(2 * (workload.optimizer == "adam")))
    state, epoch = (params, moments, jnp.zeros((), jnp.int32)), itertools.count()
    n, batch, key = workload.samples, workload.batch, random.key(1)
    shuffle = jax.jit(lambda i: random.permutation(random.fold_in(random.key(2), i), n))

    def run(epochs: int) -> None:
        nonlocal state
        values = []
        for _ in range(epochs):
            order = shuffle(next(epoch)) if batch < n else None
            for i in range(workload.steps):
                state, value = compiled(state, order, i, x, target, key)
                values.append(value)
        jax.tree.map(lambda a: a.block_until_ready(), (state, values[-1:]))

    return run


def keras(workload: Workload) -> Run:
    """Train by Keras 3 on JAX."""
    os.environ["KERAS_BACKEND"] = "jax"
    import keras
    from keras import layers as k

    layers = network(
        *(workload, lambda i, n: k.Conv2D(n, 3), lambda i, n: k.Dense(n), k.Activation),
        *(k.MaxPooling2D, k.Dropout, k.Flatten),
    )
    model = keras.Sequential([k.Input(workload.image or workload.sizes[:1]), *layers])
    x, y = workload.data()
    losses = {
        "softmax": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        "binary": keras.losses.BinaryCrossentropy(from_logits=True),
        "squared": "mean_squared_error",
    }
    kind = {"sgd": keras.optimizers.SGD, "adam": keras.optimizers.Adam}[workload.optimizer]
    model.compile(kind(workload.lr), losses[workload.loss])
    y = keras.utils.to_categorical(y, workload.sizes[-1]) if workload.loss == "squared" else y
    return lambda epochs: model.fit(x, y, batch_size=workload.batch, epochs=epochs, verbose=0)


def sklearn(workload: Workload) -> Run:
    """Train by scikit-learn's MLPClassifier, which has neither convolutions nor a squared error for classes."""
    if workload.image or workload.loss == "squared":
        raise NotImplementedError
    from sklearn.neural_network import MLPClassifier

    x, y = workload.data()
    name = {"relu": "relu", "sigmoid": "logistic"}[workload.hidden]
    model = MLPClassifier(workload.sizes[1:-1], name, solver=workload.optimizer, alpha=0.0, batch_size=workload.batch)
    model.set_params(learning_rate_init=workload.lr, momentum=0.0, tol=0.0, n_iter_no_change=10**9, random_state=0)

    def run(epochs: int) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it has not converged is known
            model.set_params(max_iter=epochs).fit(x, y)

    return run


PEERS: dict[str, Callable[[Workload], Run]] = {
    "limit": limit,
    "torch": torch,
    "torch:cuda": functools.partial(torch, device="cuda"),
    "torch:cuda:graphs": functools.partial(torch, device="cuda", mode="reduce-overhead"),
    "jax": jax,
    "keras": keras,
    "sklearn": sklearn,
}
