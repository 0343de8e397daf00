"""What `negset doctor` looks at. No check says more than what it tried."""
