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
        ConvTranspose2D CustomActivation Dense Dropout Dropout2D ELU Embedding Flatten GELU
        GlobalAvgPool1D GlobalAvgPool2D GlobalMaxPool1D GlobalMaxPool2D GroupNorm Hardsigmoid
        Hardswish InstanceNorm Layer LayerNorm LeakyReLU LogSoftmax MaxPool1D MaxPool2D Mish
        NTKDense OneHot PReLU Parallel Parametric PeriodicEmbedding RMSNorm ReLU ReLU6 Rescale
        Reshape Residual RobustScale SELU Scale Sequential Sigmoid SmoothClip Softmax Softplus
        Softsign Standardize Swish Tanh UpSample2D ZeroPad2D custom_activation""",
    "losses": """BinaryCrossEntropy FocalCrossEntropy Huber Loss MeanAbsoluteError MeanSquaredError Poisson Quantile
        SoftmaxCrossEntropy SumSquaredError""",
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
    "activation": """elu leaky_relu relu sigmoid softmax softplus swish tanh gelu hardsigmoid hardswish relu6 softsign
        celu selu log_softmax mish linear""",
    "loss": """binary_cross_entropy softmax_cross_entropy focal_cross_entropy huber mean_absolute_error
        mean_squared_error poisson quantile sum_squared_error""",
    "optimizer": """sgd adagrad adam adamw lion nadam rmsprop""",
    "schedule": """constant step exponential cosine coslog one-cycle warm-up plateau""",
}
"""The names that options of the command line take; ``--help`` lists them."""
