"""Many systems beside each other, for people."""
