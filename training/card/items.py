"""The 27 items of TRIPOD+AI with their parts, and under which of the card's headings each is answered.

Collins et al., TRIPOD+AI statement, BMJ 2024;385:e078378; asked in our own, shorter words, for animals in cages.
"""

from __future__ import annotations

from dataclasses import dataclass

DETAILS, USES, LIMITS = "Model details", "Uses", "Bias, risks and limitations"
TRAINING, EVALUATION, OPEN = "Training details", "Evaluation", "Ethics and open science"
SECTIONS = (DETAILS, USES, LIMITS, TRAINING, EVALUATION, OPEN)


@dataclass(frozen=True, slots=True)
class Item:
    """One question. key: its name in a file of answers; number: in the statement; required: to sign own animals."""

    number: str
    key: str
    section: str
    title: str
    asks: str
    required: bool = False


ITEMS = (
    Item("1", "title", DETAILS, "Title", "What is predicted, in which animals, and is it development or evaluation?"),
    Item("2", "abstract", DETAILS, "Abstract", "The study in a few sentences."),
    Item("3a", "background", USES, "Background", "In what context is the age wanted, and what models exist already?"),
    Item("3b", "intended_use", USES, "Intended use", "Which animals, which purpose, which users; what not?", True),
    Item("3c", "inequalities", USES, "Known inequalities", "Which groups (sex, strain, coat) are known to fare worse?"),
    Item("4", "objectives", DETAILS, "Objectives", "Is a model developed, evaluated, or both?"),
    Item("5a", "source_of_data", TRAINING, "Source of data", "Whose animals, which study, how representative?", True),
    Item("5b", "dates", TRAINING, "Dates", "When do the pictures begin and end?"),
    Item("6a", "setting", TRAINING, "Setting", "Which rooms, sites, cameras, cages?"),
    Item("6b", "eligibility", TRAINING, "Eligibility", "Which animals were taken in, which left out?"),
    Item("6c", "treatments", TRAINING, "Treatments", "Which treatments did animals get, and how is that handled?"),
    Item("7", "data_preparation", TRAINING, "Data preparation", "How were pictures prepared and checked?"),
    Item("8a", "outcome", TRAINING, "Outcome", "What is predicted, how is the true value known, alike for all groups?"),
    Item("8b", "outcome_assessors", TRAINING, "Assessors of the outcome", "Where judgement is needed: whose?"),
    Item("8c", "outcome_blinding", TRAINING, "Blinding", "Was the outcome assessed without knowing the prediction?"),
    Item("9a", "predictor_choice", TRAINING, "Choice of predictors", "Why these inputs?"),
    Item("9b", "predictors", TRAINING, "Predictors", "What are the inputs, how and when are they measured?"),
    Item("9c", "predictor_assessors", TRAINING, "Assessors of predictors", "Where judgement is needed: whose?"),
    Item("10", "sample_size", TRAINING, "Sample size", "How many animals, cages and readings, and why so many?"),
    Item("11", "missing_data", TRAINING, "Missing data", "What is missing and what was done about it?"),
    Item("12a", "use_of_data", TRAINING, "Split", "How were data divided into development and evaluation?"),
    Item("12b", "predictor_handling", TRAINING, "Handling of predictors", "How are the inputs scaled or transformed?"),
    Item("12c", "model_building", TRAINING, "Model", "Which kind of model, and all steps of building it?"),
    Item("12d", "clusters", EVALUATION, "Clusters", "How are differences between cages and sites handled?"),
    Item("12e", "measures", EVALUATION, "Measures", "Which figures of performance, and how are they made?"),
    Item("12f", "recalibration", TRAINING, "Recalibration", "Was the model updated or recalibrated?"),
    Item("12g", "calculation", EVALUATION, "Calculation", "How were predictions made for the evaluation?"),
    Item("13", "imbalance", TRAINING, "Imbalance", "Are ages unevenly present, and was that corrected?"),
    Item("14", "fairness", LIMITS, "Fairness", "What was done so that no sex, strain or light fares worse?"),
    Item("15", "output", DETAILS, "Output", "What does the model say?"),
    Item("16", "differences", TRAINING, "Training and evaluation", "How do the two sets of animals differ?"),
    Item("17", "ethics", OPEN, "Ethics", "Which committee approved the animals' keeping and pictures?", True),
    Item("18a", "funding", OPEN, "Funding", "Who paid, and what was their part?", True),
    Item("18b", "interests", OPEN, "Conflicts of interest", "What interests do the authors have?", True),
    Item("18c", "protocol", OPEN, "Protocol", "Where is the study's protocol?"),
    Item("18d", "registration", OPEN, "Registration", "Where is the study registered?"),
    Item("18e", "data_sharing", OPEN, "Data sharing", "Where are the data?"),
    Item("18f", "code_sharing", OPEN, "Code sharing", "Where is the code?"),
    Item("19", "involvement", OPEN, "Involvement", "Who of those concerned (keepers, veterinarians) took part?"),
    Item("20a", "flow", EVALUATION, "Flow of animals", "How many animals and readings, with and without a known age?"),
    Item("20b", "characteristics", EVALUATION, "Characteristics", "Who are they: sex, strain, age, light, treatment?"),
    Item("20c", "comparison", EVALUATION, "Comparison", "Are test animals like training animals?"),
    Item("21", "analysed", EVALUATION, "Analysed", "How many animals in each analysis?"),
    Item("22", "specification", DETAILS, "Specification", "Everything that is needed to predict."),
    Item("23a", "performance", EVALUATION, "Performance", "Figures with intervals, for groups too."),
    Item("23b", "heterogeneity", EVALUATION, "Heterogeneity", "How does performance differ between cages and sites?"),
    Item("24", "updating", EVALUATION, "Updating", "What did an update of the model change?"),
    Item("25", "interpretation", LIMITS, "Interpretation", "What do the results mean, fairness included?"),
    Item("26", "limitations", LIMITS, "Limitations", "What limits the study: animals, sizes, bias, other rooms?", True),
    Item("27a", "poor_input", USES, "Poor input", "What happens with a poor or missing picture?"),
    Item("27b", "user_skills", USES, "Users", "What must users do and know?"),
    Item("27c", "next_steps", LIMITS, "Next steps", "What is to be studied next?"),
)
REQUIRED = tuple(item.key for item in ITEMS if item.required)
