"""What is between activity and counts: attenuation, later normalization, randoms and scatter."""
