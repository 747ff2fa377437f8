"""Is the engine ever wrong on random right networks, or blind to one wrong entry? See test_soak."""
