"""What others see of a process that serves: its metrics, whether it lives, and whether it takes requests."""
