"""Recipes: networks for tables, each with the optimizer, schedule and settings that it is trained by."""

from portanet.recipes.plain import plain
from portanet.recipes.realmlp import realmlp
from portanet.recipes.recipe import Recipe

__all__ = ["RECIPES", "Recipe", "plain", "realmlp"]

RECIPES = {"realmlp": realmlp, "plain": plain}
"""What a command line or an estimator can name."""
