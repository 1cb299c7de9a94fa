"""Telling the customer: events, whom they concern, signatures, delivery."""
