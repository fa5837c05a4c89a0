"""A bounded cache with times to live."""

from .cache import Cache
from .clock import FixedClock, SystemClock
from .memo import memoise
from .stats import Stats

__all__ = ["Cache", "FixedClock", "Stats", "SystemClock", "memoise"]
