"""A whole system in one thread: the tree, an exchange and a disk that fail at seeded moments, and invariants."""
