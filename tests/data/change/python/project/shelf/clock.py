"""Where the cache has the time from."""

import time


class SystemClock:
    """Seconds that never go back."""

    def now(self):
        return time.monotonic()


class FixedClock:
    """Seconds that a test sets."""

    def __init__(self, now=0.0):
        self._now = now

    def now(self):
        return self._now

    def advance(self, seconds):
        if seconds < 0:
            raise ValueError("a clock does not go back")
        self._now += seconds
