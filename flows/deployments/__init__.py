"""What a dataset has on a Prefect server: its deployments, and the automations that look after their runs."""
