"""What a package outside aero-search may add to it."""
