"""Real training code that studies tune, each study one readable file."""
