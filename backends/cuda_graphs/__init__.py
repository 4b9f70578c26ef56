"""CUDA graphs on CuPy, parked here until a GPU has run them: written without one, and never run on one.

``PORTANET_CUPY_GRAPHS=1`` in the environment makes :class:`~portanet.backends.cuda_graphs.backend.GraphBackend` the
backend ``"cupy"``. Nothing else knows of this folder.
"""
