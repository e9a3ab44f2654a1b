"""`thunes doctor`: everything that a start needs, looked at before it, without leaving a trace."""
