"""Who carries it: one file per provider dialect, found by discovery.

A carrier verifies signatures, parses what comes (Inbound | Status) and sends what goes
(Accepted, or raises Temporary, Permanent, Unknown). It never touches the database.
"""
