"""Side-by-side measurements against other tools and published procedures; results lie in ``benchmarks/results``."""
