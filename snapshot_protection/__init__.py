"""What must be protected, what happened to it, and how that is reported: pure rules, without I/O."""
