"""What makes a fit untrustworthy, each pitfall a named check in words that a person can act on."""

from __future__ import annotations

from scaling.checks.base import Check, Severity

__all__ = ["Check", "Severity"]
