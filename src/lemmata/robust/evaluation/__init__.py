"""How robust a network is, attack by attack and class by class."""
