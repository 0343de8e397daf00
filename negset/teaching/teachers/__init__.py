"""What scores pairs beyond the miners: one file for each teacher, named as in a configuration."""
