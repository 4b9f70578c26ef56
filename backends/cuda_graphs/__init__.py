"""CUDA graphs on CuPy: a training step of about a hundred kernels is launched by one call.

:class:`~portanet.backends.cuda_graphs.backend.GraphBackend` is the backend ``"cupy"``. With
``PORTANET_CUPY_GRAPHS=0`` in the environment, :class:`~portanet.backends.cupy_backend.CupyBackend` is used instead; it
launches kernels one by one.
"""
