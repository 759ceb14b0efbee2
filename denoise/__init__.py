"""Networks that make a low-dose PET image look like a full-dose one, and their training."""
