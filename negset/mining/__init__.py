"""What is proposed for a query, and which of it is chosen: miners, the ledger, rules, recipes."""
