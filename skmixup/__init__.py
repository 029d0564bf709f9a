"""Vicinal training of neural networks inside scikit-learn."""

__version__ = "0.1.0"
