"""Rounds: a set is mined again with the model that was trained on the one before. Says nothing of flows."""
