"""What the machine is and does: memory, cores, accelerators."""
