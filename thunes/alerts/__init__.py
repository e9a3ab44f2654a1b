"""What wakes a person: Telegram."""
