"""The Flask half: requests, responses, the session, cookies."""
