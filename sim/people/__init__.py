"""People: anthropomorphic phantoms from smooth analytic surfaces and random fields."""

from sim.people.drawing import person
from sim.people.lesions import Lesion
from sim.people.person import Person

__all__ = ["Lesion", "Person", "person"]
