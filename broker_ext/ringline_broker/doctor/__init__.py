"""Looks at a deployment as its worker and as two of its users, and says what to fix: `ringline doctor`."""
