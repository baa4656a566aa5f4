"""The broker extension: it owns invitations, decides them once, and tells everyone concerned."""
