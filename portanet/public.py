"""The public names, so that none is imported before it is used.

Written by ``python -m tests.surface``, not by hand.
"""

PUBLIC = {
    "agree": """agree""",
    "callbacks": """AverageWeights CSVLogger Callback Checkpoint EarlyStopping JSONLLogger LearningRateSchedule
        LowerRate MLflow TensorBoard TimeLimit TrainingCheckpoint""",
    "distributed.ranks": """Ranks""",
    "engine.step": """Step""",
    "errors": """BackendError CheckError ConfigError DataError DivergedError ModelFileError OutOfMemoryError
        PortanetError ShapeError""",
    "files.description": """save""",
    "fleet": """Ensemble Fleet""",
    "initializers": """Initializer initializer""",
    "inspection.trace": """Trace trace""",
    "layers": """AdaptiveAvgPool2D Augment AvgPool1D AvgPool2D BatchNorm Branches CELU Committee Conv1D Conv2D
        ConvTranspose2D CustomActivation Dense DepthToSpace2D Dropout Dropout2D ELU Embedding
        Flatten GELU GlobalAvgPool1D GlobalAvgPool2D GlobalMaxPool1D GlobalMaxPool2D GroupNorm
        Hardsigmoid Hardswish Hardtanh InstanceNorm Layer LayerNorm LeakyReLU LocalResponseNorm
        LogSoftmax LpPool2D MaxPool1D MaxPool2D Mish NTKDense OneHot PReLU Pad2D Parallel Parametric
        PeriodicEmbedding RMSNorm ReLU ReLU6 Rescale Reshape Residual Resize2D RobustScale SELU
        Scale Sequential Sigmoid SmoothClip Softmax Softplus Softsign SpaceToDepth2D Standardize
        Swish Tanh ThresholdedReLU UpSample2D ZeroPad2D custom_activation""",
    "losses": """BinaryCrossEntropy FocalCrossEntropy GaussianLikelihood Huber Loss MeanAbsoluteError
        MeanSquaredError NegativeLogLikelihood Poisson Quantile SoftmaxCrossEntropy SumSquaredError""",
    "metrics": """Accuracy MeanAbsoluteErrorMetric Metric R2 ScikitMetric TopK confusion_matrix""",
    "optimizers": """Adagrad Adam AdamW Lion NAdam Optimizer RMSprop SGD""",
    "random": """Key""",
    "schedules": """Constant CosLog Cosine Exponential OneCycle Plateau Schedule StepDecay WarmUp""",
    "training.history": """History""",
    "training.load": """load""",
    "training.trainer": """Trainer""",
    "verify.gradient_check": """GradientCheck check_loss gradcheck""",
}
"""The names in the ``__all__`` of each module."""

KNOWN = {
    "activation": """elu leaky_relu relu sigmoid softmax softplus swish tanh gelu hardsigmoid hardswish hardtanh relu6
        softsign thresholded_relu celu selu log_softmax mish linear""",
    "loss": """binary_cross_entropy softmax_cross_entropy focal_cross_entropy gaussian_likelihood
        negative_log_likelihood huber mean_absolute_error mean_squared_error poisson quantile
        sum_squared_error""",
    "optimizer": """sgd adagrad adam adamw lion nadam rmsprop""",
    "schedule": """constant step exponential cosine coslog one-cycle warm-up plateau""",
}
"""The names that options of the command line take; ``--help`` lists them."""
