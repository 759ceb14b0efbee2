"""People: anthropomorphic phantoms from smooth analytic surfaces and random fields."""

from sim.people.lesions import Lesion
from sim.people.person import landmarks, person

__all__ = ["Lesion", "landmarks", "person"]
