"""What `scripts/train.py` and `scripts/evaluate.py` share: people, crops, losses, measures and the training loop."""
