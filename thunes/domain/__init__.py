"""What is true: pure, single-threaded; time, randomness and ids are arguments."""
