"""Strategies: drop a file in to add one; its name is the module's."""
