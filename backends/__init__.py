"""The backends: everything that differs between NumPy, CuPy, torch and JAX stands in this folder."""
