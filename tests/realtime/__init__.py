"""Real time: the protocol of the SDKs, and the SDK itself."""
