"""What only the lessons need: figures, exercises and Netron inside a notebook."""
