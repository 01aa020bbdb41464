"""What is trained on CIFAR-10 for the other experiments' sake."""
