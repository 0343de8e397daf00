"""The pure core: what is mined, filtered, sampled, published and trained, without an orchestrator."""
