"""Functions that remember their results."""

import functools

_ABSENT = object()


def memoise(cache):
    """Keeps the results of a function in a cache, by its arguments."""

    def decorate(function):
        @functools.wraps(function)
        def remembered(*args, **kwargs):
            key = (function.__qualname__, args, tuple(sorted(kwargs.items())))
            known = cache.get(key, _ABSENT)
            if known is not _ABSENT:
                return known
            result = function(*args, **kwargs)
            cache.put(key, result)
            return result

        return remembered

    return decorate
