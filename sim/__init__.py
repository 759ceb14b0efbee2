"""Simulated PET scans: phantoms, doses, and acquisitions written as the files that recon reads."""
