"""The road out: loop -> attempt -> receipts."""
