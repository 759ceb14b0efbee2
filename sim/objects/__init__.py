"""Test objects to their published dimensions; `sim.catalogue` knows them by name."""
