"""What runs store for later ones."""
