"""What happens: every actor, and the small runtime under them."""
