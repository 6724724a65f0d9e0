"""What is fast, measured side by side; `make bench` prints it."""
