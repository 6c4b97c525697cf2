"""Pages about studies and comparisons, made for people to read."""

from __future__ import annotations

from hpo.report.comparison import comparison_page
from hpo.report.study import study_page

__all__ = ["comparison_page", "study_page"]
