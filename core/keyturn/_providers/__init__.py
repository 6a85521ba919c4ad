"""What a provider is: its data, its settings, and how its methods are called."""
