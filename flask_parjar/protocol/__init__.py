"""The rules of the standards as pure functions and values. See README.md beside this file."""
