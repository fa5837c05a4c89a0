import unittest

from shelf import Cache, Stats, memoise


class MemoTest(unittest.TestCase):
    def setUp(self):
        self.cache = Cache(10)
        self.calls = []

        @memoise(self.cache)
        def add(left, right=0):
            self.calls.append((left, right))
            return left + right

        self.add = add

    def test_a_result_is_worked_out_once(self):
        self.assertEqual([self.add(1, 2), self.add(1, 2)], [3, 3])
        self.assertEqual(self.calls, [(1, 2)])

    def test_other_arguments_are_another_result(self):
        self.add(1, right=2)
        self.add(1, right=3)
        self.assertEqual(len(self.calls), 2)

    def test_none_is_a_result_too(self):
        asked = []
        nothing = memoise(self.cache)(lambda: asked.append(1))
        nothing()
        nothing()
        self.assertEqual(len(asked), 1)


class StatsTest(unittest.TestCase):
    def test_the_ratio_is_that_of_hits(self):
        self.assertEqual(Stats().ratio, 0.0)
        self.assertEqual(Stats(hits=3, misses=1).ratio, 0.75)
