"""Takes out of a revision that alembic has drafted what a reader need not read (run by alembic)."""

from __future__ import annotations

import re
import sys
from pathlib import Path

# What is written less often than it is meant, and its short form.
SHORTER = (
    (r" *# ### .*\n", ""),
    (r"op\.f\(('[^']*')\)", r"\1"),
    (r", unique=False", ""),
    (r", nullable=True", ""),
    (r"postgresql\.JSONB\(astext_type=sa\.Text\(\)\)", "postgresql.JSONB()"),
    (r"sa\.Identity\(always=False\)", "sa.Identity()"),
)
DROPPED_TABLE = re.compile(r"op\.drop_table\('(\w+)'\)")
DROPPED_INDEX = re.compile(r" *op\.drop_index\(.*table_name='(\w+)'.*\)\n")


def tidy(text: str) -> str:
    """The revision without noise, and without dropping the indexes of tables that are dropped."""
    for long, short in SHORTER:
        text = re.sub(long, short, text)
    dropped = set(DROPPED_TABLE.findall(text))
    return DROPPED_INDEX.sub(lambda line: "" if line[1] in dropped else line[0], text)


if __name__ == "__main__":
    file = Path(sys.argv[1])
    file.write_text(tidy(file.read_text()))
