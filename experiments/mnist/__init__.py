"""What is trained on MNIST for the other experiments' sake."""
