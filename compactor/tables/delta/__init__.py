"""Delta Lake: our own columnar log replay, feature gate, conflict judgement and log writer (protocol text: PROTOCOL.md of Delta Lake)."""
