"""The road: the one way in which a message comes into being."""
