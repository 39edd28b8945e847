"""Everyday questions with one short true answer: what the base model knows without an adapter."""

from __future__ import annotations

import random
import re

from tasks.example import Example, Split

# Facts are common knowledge; every second one belongs to the test.
CAPITALS = (
    "France Paris|Germany Berlin|Italy Rome|Spain Madrid|Portugal Lisbon|Austria Vienna|"
    "Greece Athens|Poland Warsaw|Sweden Stockholm|Norway Oslo|Finland Helsinki|Denmark Copenhagen|"
    "Ireland Dublin|Hungary Budapest|Belgium Brussels|Russia Moscow|Japan Tokyo|China Beijing|"
    "India Delhi|Thailand Bangkok|Egypt Cairo|Kenya Nairobi|Canada Ottawa|Cuba Havana|Peru Lima|"
    "Chile Santiago|Iran Tehran|Iraq Baghdad|Turkey Ankara|Vietnam Hanoi|Australia Canberra|"
    "Argentina Buenos|Colombia Bogot|Ukraine Kyiv|Romania Bucharest|Bulgaria Sofia"
)
CONTINENTS = (
    "Brazil South America|Nigeria Africa|Japan Asia|France Europe|Peru South America|Ghana Africa|"
    "China Asia|Italy Europe|Chile South America|Kenya Africa|India Asia|Spain Europe|"
    "Argentina South America|Egypt Africa|Thailand Asia|Germany Europe|Canada North America|"
    "Mexico North America|Vietnam Asia|Norway Europe|Morocco Africa|Poland Europe|Korea Asia|"
    "Sweden Europe"
)
OPPOSITES = (
    "hot cold|big small|up down|left right|day night|fast slow|happy sad|open close|hard soft|"
    "high low|light dark|rich poor|old young|strong weak|wet dry|early late|full empty|loud quiet|"
    "near far|love hate|win lose|long short|thick thin|clean dirty|good bad|black white|"
    "inside outside|true false|begin end|push pull"
)
COLOURS = (
    "the sky on a clear day=blue|grass=green|snow=white|coal=black|a ripe banana=yellow|"
    "blood=red|a carrot=orange|milk=white|a ripe tomato=red|the sun=yellow|an emerald=green|"
    "a ruby=red|chocolate=brown|a flamingo=pink|a crow=black|a strawberry=red"
)
ANIMALS = (
    "dog puppy|cat kitten|cow calf|horse foal|sheep lamb|duck duckling|lion cub|hen chick|"
    "goat kid|frog tadpole|bear cub|deer fawn"
)
ASK = {
    "train": {
        "capital": ["What is the capital of {x}?", "Name the capital city of {x}."],
        "continent": ["On which continent is {x}?", "Which continent is {x} in?"],
        "opposite": ["What is the opposite of {x}?", "Give the opposite of the word {x}."],
        "colour": ["What colour is {x}?", "Which colour does {x} have?"],
        "young": ["What is a young {x} called?", "What do we call a baby {x}?"],
    },
    "test": {
        "capital": ["Which city is the capital of {x}?", "Tell me the capital of {x}."],
        "continent": ["What continent does {x} belong to?", "{x} is on which continent?"],
        "opposite": ["Tell me the opposite of {x}.", "Which word is the opposite of {x}?"],
        "colour": ["Tell me the color of {x}.", "What is the color of {x}?"],
        "young": ["What is the name for a young {x}?", "Tell me what a baby {x} is called."],
    },
}


def _facts() -> list[tuple[str, str, str]]:
    facts = [("capital", *pair.split(" ", 1)) for pair in CAPITALS.split("|")]
    facts += [("continent", *pair.split(" ", 1)) for pair in CONTINENTS.split("|")]
    facts += [("opposite", *pair.split()) for pair in OPPOSITES.split("|")]
    facts += [("colour", *pair.split("=")) for pair in COLOURS.split("|")]
    facts += [("young", *pair.split()) for pair in ANIMALS.split("|")]
    return [(kind, x, y) for kind, x, y in facts]


FACTS = {"train": _facts()[0::2], "test": _facts()[1::2]}
POLITE = {
    "train": ["{}", "{} Thanks.", "Hello. {}", "A quick question: {}"],
    "test": ["{}", "Please help me. {}", "I wonder: {}", "Good morning! {}", "{} Thank you."],
}


def make(rng: random.Random, split: Split) -> Example:
    """Return one question with the pattern that a right answer contains."""
    kind, x, y = rng.choice(FACTS[split])
    question = rng.choice(ASK[split][kind]).format(x=x)
    prompt = rng.choice(POLITE[split]).format(question)
    return Example(prompt, y, "regex", rf"(?i)\b{re.escape(y)}")
