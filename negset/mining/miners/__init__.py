"""Miners: each proposes candidates. One file each, found by `negset.mining.miner.find_miner`."""
