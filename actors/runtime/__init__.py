"""The small runtime under the actors: mailboxes, post, clock, timers, threads, and the actor base."""
