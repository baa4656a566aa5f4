"""What a group is and what may become of it. No I/O, no clock; time is an argument."""
