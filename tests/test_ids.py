"""SIDs and tokens: their layout, and that none comes twice."""

from __future__ import annotations

import uuid
from time import time_ns

from app import ids

MANY = 2_000


def test_sids_only_grow_and_say_when_they_were_made() -> None:
    before_ms = time_ns() // 1_000_000
    made = [ids.new(ids.MESSAGE) for _ in range(MANY)]
    after_ms = time_ns() // 1_000_000
    assert made == sorted(set(made))
    for sid in made:
        assert ids.is_sid(sid, "IM")
        read = uuid.UUID(sid[2:])
        assert (read.version, read.variant) == (7, uuid.RFC_4122)
        assert before_ms <= read.int >> 80 <= after_ms


def test_tokens_are_random_uuids() -> None:
    made = {ids.token() for _ in range(MANY)}
    assert len(made) == MANY
    for token in made:
        read = uuid.UUID(token)
        assert (str(read), read.version, read.variant) == (token, 4, uuid.RFC_4122)
    for place in (0, 12, 15, 20, 35):  # every digit that may be anything is
        assert {token[place] for token in made} == set("0123456789abcdef")
    assert {token[19] for token in made} == set("89ab")
