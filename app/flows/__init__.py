"""Flows: bots that are drawn, not written. A definition is read and checked (`definition`), and a
pure machine walks it (`machine`): what happened goes in, what must be done comes out. No database,
no network, no clock: whoever runs flows keeps the memory and does what is asked (docs/65, docs/68).
"""
