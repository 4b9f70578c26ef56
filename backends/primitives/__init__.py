"""Primitives: what the Array API standard lacks, each with a portable version as reference.

``axpy``, ``convolution`` and ``index_add``: one function each, which takes a library's own if that is faster.
"""
