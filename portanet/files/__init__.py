"""Bytes on disk: networks, checkpoints and how they are written."""
