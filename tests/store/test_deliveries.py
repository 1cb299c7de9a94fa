"""The questions about deliveries go through indexes: also those about one of several parts."""

from __future__ import annotations

import re

import asyncpg
import pytest

from app.store import deliveries
from app.store.held import PINNED

QUESTIONS = {
    "whose status": (deliveries.PLACES, "ARRAY['DY']", "ARRAY['lab']", "ARRAY['SM1']"),
    "whose send": (deliveries.OTHERS, "'lab'", "ARRAY['SM1']", "'DY'", "1"),
    "who was early": (deliveries.RIPE_EARLY, "now()"),
}


@pytest.mark.parametrize("name", QUESTIONS)
async def test_a_part_is_found_by_its_id_at_the_carrier(sql: asyncpg.Connection, name: str) -> None:
    statement, *values = QUESTIONS[name]
    for setting, value in PINNED.items():
        await sql.execute(f"SET {setting} = '{value}'")
    for number, value in reversed([*enumerate(values, 1)]):
        statement = statement.replace(f"${number}", value)
    plan = "\n".join(row[0] for row in await sql.fetch(f"EXPLAIN {statement}"))
    assert "Bitmap Index Scan on receipts_parts" in plan
    assert not re.search("Seq Scan on receipts", plan), plan
