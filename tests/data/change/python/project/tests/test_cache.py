import unittest

from shelf import Cache, FixedClock


class BoundTest(unittest.TestCase):
    def test_the_oldest_entry_goes_first(self):
        cache = Cache(2)
        for key in "abc":
            cache.put(key, key.upper())
        self.assertEqual([cache.get(key) for key in "abc"], [None, "B", "C"])
        self.assertEqual(cache.stats.evicted, 1)

    def test_reading_makes_an_entry_recent(self):
        cache = Cache(2)
        cache.put("a", 1)
        cache.put("b", 2)
        cache.get("a")
        cache.put("c", 3)
        self.assertIn("a", cache)
        self.assertNotIn("b", cache)

    def test_writing_again_makes_an_entry_recent(self):
        cache = Cache(2)
        cache.put("a", 1)
        cache.put("b", 2)
        cache.put("a", 10)
        cache.put("c", 3)
        self.assertEqual(cache.get("a"), 10)
        self.assertNotIn("b", cache)

    def test_writing_again_takes_no_more_room(self):
        cache = Cache(2)
        for value in range(5):
            cache.put("a", value)
        self.assertEqual((len(cache), cache.stats.evicted), (1, 0))

    def test_a_cache_without_room_is_refused(self):
        with self.assertRaises(ValueError):
            Cache(0)


class LifeTest(unittest.TestCase):
    def setUp(self):
        self.clock = FixedClock()
        self.cache = Cache(10, ttl=60, clock=self.clock)

    def test_an_entry_lives_until_its_time(self):
        self.cache.put("a", 1)
        self.clock.advance(59.9)
        self.assertEqual(self.cache.get("a"), 1)
        self.clock.advance(0.1)
        self.assertIsNone(self.cache.get("a"))
        self.assertEqual(self.cache.stats.expired, 1)

    def test_an_entry_can_have_a_life_of_its_own(self):
        self.cache.put("short", 1, ttl=1)
        self.clock.advance(2)
        self.assertNotIn("short", self.cache)

    def test_purge_drops_only_what_is_dead(self):
        self.cache.put("short", 1, ttl=1)
        self.cache.put("long", 2)
        self.clock.advance(2)
        self.assertEqual(self.cache.purge(), 1)
        self.assertEqual(len(self.cache), 1)

    def test_no_life_is_for_ever(self):
        cache = Cache(1, clock=self.clock)
        cache.put("a", 1)
        self.clock.advance(1e9)
        self.assertIn("a", cache)
