"""Chat in real time: what the official SDKs of Conversations speak, over one WebSocket each."""
