"""What training on one part of the data does to another: measured before the long run, with probes of seconds."""
