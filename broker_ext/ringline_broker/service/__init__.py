"""The service: takes requests, lets the engine decide, commits, publishes. It owns the Store and Binding protocols."""
