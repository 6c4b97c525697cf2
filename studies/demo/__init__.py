"""The main job from end to end: tune a language model small, fit the law, predict a larger one, train it, report.

>>> python -m studies.demo  # doctest: +SKIP
"""
