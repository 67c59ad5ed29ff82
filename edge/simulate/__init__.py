"""The simulated cage: seeded animals that age, photographed from above, with the ground truth of every frame."""

from edge.simulate.activity import POSTURES, Activity, Placement, Posture, activity_share_at, draw_activity
from edge.simulate.appearance import Appearance, appearance_at, frailty_at
from edge.simulate.cage import SimulatedCage
from edge.simulate.faults import SceneFaults
from edge.simulate.population import SimulatedAnimal, create_population
from edge.simulate.setup import CageSetup
from edge.simulate.strains import STRAINS, Strain
from edge.simulate.truth import PARTS, AnimalTruth, FrameTruth, Light, SimulatedFrame
from edge.simulate.view import View

__all__ = [
    "PARTS",
    "POSTURES",
    "STRAINS",
    "Activity",
    "AnimalTruth",
    "Appearance",
    "CageSetup",
    "FrameTruth",
    "Light",
    "Placement",
    "Posture",
    "SceneFaults",
    "SimulatedAnimal",
    "SimulatedCage",
    "SimulatedFrame",
    "Strain",
    "View",
    "activity_share_at",
    "appearance_at",
    "create_population",
    "draw_activity",
    "frailty_at",
]
