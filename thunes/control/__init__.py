"""The control edge: local HTTP for people and monitoring, and the commands that talk to it."""
