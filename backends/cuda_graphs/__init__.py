"""Steps on CuPy as CUDA graphs: off by default, until a GPU has run them."""
