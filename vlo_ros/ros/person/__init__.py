"""What a person uses beside the running node: chat, web page, speaker, live latency."""
