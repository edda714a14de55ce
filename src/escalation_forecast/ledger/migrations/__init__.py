"""Revisions of the schema, run by Alembic when an archive is opened."""
