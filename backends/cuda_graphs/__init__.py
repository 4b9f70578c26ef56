"""CUDA graphs on CuPy: a step of training, some hundred kernels, is launched by one call.

:class:`~portanet.backends.cuda_graphs.backend.GraphBackend` is the backend ``"cupy"``; where the environment says
``PORTANET_CUPY_GRAPHS=0``, :class:`~portanet.backends.cupy_backend.CupyBackend` is, and launches kernels one by one.
"""
