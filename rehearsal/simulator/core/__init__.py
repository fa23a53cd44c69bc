"""Shared by all simulated providers: the resource model, common rules, state, and the protocol server."""
