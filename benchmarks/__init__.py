"""Measurements of image quality and speed, and the reports made of them."""
