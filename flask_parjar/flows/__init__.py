"""The stories of the protocol, step by step. No Flask here, and no HTTP library."""
