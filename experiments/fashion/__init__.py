"""What is trained on Fashion-MNIST for the other experiments' sake."""
