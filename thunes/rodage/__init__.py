"""The burn-in: what THUNES has to show before it may hold real money."""
