"""THUNES: a paper-to-live trader for Binance spot in which every component is an actor."""

__version__ = "0.1.0"
