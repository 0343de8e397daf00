"""How many negatives are false, how hard they are, and what a threshold would do: measured before anybody trains."""
