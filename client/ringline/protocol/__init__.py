"""Protocol v1: topics, messages, limits, errors and reasons. Pure, and shared by client and extension."""
