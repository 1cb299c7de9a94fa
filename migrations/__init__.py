"""The schema's history: alembic revisions, generated from the models and read by a person.

Every revision runs online while the previous release still works on the database (expand,
backfill, contract one release later). An index on a table that is there already is made with
CREATE INDEX CONCURRENTLY, after DROP INDEX CONCURRENTLY IF EXISTS (one that was cut short leaves a
broken one), in an `autocommit_block` after everything else of its revision: what stands before it
is committed there, so it must bear being run again. `python -m migrations.draft "what changes"` writes the next
one; app/store/schema.py runs them.
"""
