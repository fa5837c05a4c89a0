"""The cache itself."""

from collections import OrderedDict

from .clock import SystemClock
from .entry import Entry
from .stats import Stats


class Cache:
    """Keeps at most `capacity` entries; the one that was not used for longest goes first."""

    def __init__(self, capacity, ttl=None, clock=None):
        if capacity < 1:
            raise ValueError("a cache holds at least one entry")
        self._capacity = capacity
        self._ttl = ttl
        self._clock = clock or SystemClock()
        # Oldest use first.
        self._entries = OrderedDict()
        self.stats = Stats()

    def __len__(self):
        return len(self._entries)

    def __contains__(self, key):
        entry = self._entries.get(key)
        return entry is not None and entry.is_alive(self._clock.now())

    def get(self, key, default=None):
        entry = self._entries.get(key)
        if entry is not None and not entry.is_alive(self._clock.now()):
            del self._entries[key]
            self.stats.expired += 1
            entry = None
        if entry is None:
            self.stats.misses += 1
            return default
        self._entries.move_to_end(key)
        self.stats.hits += 1
        return entry.value

    def put(self, key, value, ttl=None):
        life = self._ttl if ttl is None else ttl
        expires = None if life is None else self._clock.now() + life
        self._entries[key] = Entry(value, expires)
        if len(self._entries) > self._capacity:
            self._entries.popitem(last=False)
            self.stats.evicted += 1

    def purge(self):
        """Drops what is expired; says how many."""
        now = self._clock.now()
        dead = [key for key, entry in self._entries.items() if not entry.is_alive(now)]
        for key in dead:
            del self._entries[key]
        self.stats.expired += len(dead)
        return len(dead)
