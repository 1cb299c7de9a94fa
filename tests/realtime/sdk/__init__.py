"""The official JavaScript SDK, unmodified, against the real service: in Node and in Chromium."""
