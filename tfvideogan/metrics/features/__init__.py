"""Networks that turn a clip into features and logits, with their weights and a card each."""
