"""What every simulated provider consists of: the resource model, shared rules, state, and the protocol server."""
