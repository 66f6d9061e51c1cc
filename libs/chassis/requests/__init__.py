"""What a service answers: the operations, who calls them, and answers that are kept for whoever asks again."""
