"""Parley: a self-hosted, drop-in twin of Twilio Conversations v1."""

VERSION = "0.1.0"
