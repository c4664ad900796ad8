from attnwatch.web.maps.kept import Kept


def test_what_was_used_last_is_kept_within_the_limit():
    made = []
    kept = Kept(10, len)

    def value(key, size):
        return kept.get(key, lambda: made.append(key) or b"x" * size)

    value("a", 4), value("b", 4), value("a", 4)
    assert made == ["a", "b"]
    value("c", 4)  # in place of b, because a was used after it
    assert ("a" in kept, "b" in kept, "c" in kept) == (True, False, True)
    assert value("large", 11) == b"x" * 11
    assert "large" not in kept
    assert "a" in kept
