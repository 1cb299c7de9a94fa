"""The schema's history: alembic revisions, generated from the models and read by a person.

Every revision runs online while the previous release still works on the database (expand,
backfill, contract one release later). `python -m migrations.draft "what changes"` writes the next
one; app/store/schema.py runs them.
"""
