"""The flows of the protocol: login, refresh, logout. No Flask here, and no HTTP library."""
