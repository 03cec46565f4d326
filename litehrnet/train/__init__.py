"""From annotated pictures to weights: people, crops, losses, measures and the training loop."""
