"""Facts in a sentence, extracted as JSON with the keys that are asked for."""

from __future__ import annotations

import json
import random

from tasks.example import Example, Split

PEOPLE = {
    "train": "Maria Lopez|John Smith|Aiko Mori|Peter Novak|Sara Khan|Tom Baker|Nina Rossi|"
    "Omar Haddad|Julia Weber|Liam Murphy|Elena Popov|Carlos Diaz|Fatima Noor|Hans Gruber|"
    "Wei Zhang|Ingrid Berg|Pablo Reyes|Amara Obi|Lucas Moreau|Dmitri Volkov|Chloe Adams|"
    "Rahul Gupta|Sofia Lind|Ahmed Farouk|Greta Hahn|Mateo Cruz|Nora Quinn|Tariq Aziz".split("|"),
    "test": "Priya Nair|Erik Larsen|Zoe Martin|Kwame Mensah|Yuki Sato|Laura Conti|"
    "Marek Kowal|Hana Kim".split("|"),
}
THINGS = {
    "train": (
        "lamps chairs mugs towels notebooks clocks pillows phones blankets printers vases jackets "
        "guitars bicycles curtains bottles umbrellas keyboards candles helmets".split()
    ),
    "test": "rugs mirrors bowls backpacks headphones kettles".split(),
}
CITIES = {
    "train": (
        "Paris London Tokyo Madrid Cairo Oslo Lima Rome Athens Boston Delhi Geneva Havana Jakarta "
        "Kiev Manila Naples Quito Riga Sydney Toronto Warsaw Zurich Bogota".split()
    ),
    "test": "Vienna Dublin Seoul Lisbon Nairobi Prague".split(),
}
TOPICS = {
    "train": (
        "budget|hiring|new website|safety|training|annual report|sales plan|data protection|"
        "customer survey|supply chain|staff canteen|parking|energy costs|summer party".split("|")
    ),
    "test": "office move|product launch|travel policy|security audit".split("|"),
}
MONTHS = "January March May July September November February April June August".split()

SHAPES: dict[str, dict[str, list[str]]] = {
    "order": {
        "train": [
            "{name} ordered {quantity} {item} for {price} dollars.",
            "An order of {quantity} {item} was placed by {name}, total {price} dollars.",
            "{name} bought {quantity} {item} and paid {price} dollars.",
        ],
        "test": [
            "{name} purchased {quantity} {item} at a cost of {price} dollars.",
            "We sold {quantity} {item} to {name} for {price} dollars.",
        ],
    },
    "trip": {
        "train": [
            "{name} flies from {origin} to {destination} on {day} {month}.",
            "On {day} {month}, {name} travels from {origin} to {destination}.",
            "{name} booked a trip from {origin} to {destination} for {day} {month}.",
        ],
        "test": [
            "{name} leaves {origin} on {day} {month} and goes to {destination}.",
            "A journey from {origin} to {destination} on {day} {month} is booked for {name}.",
        ],
    },
    "meeting": {
        "train": [
            "{name} leads a meeting about {topic} in {city} at {hour}:00.",
            "There is a meeting on {topic} at {hour}:00 in {city}, led by {name}.",
            "At {hour}:00 {name} will discuss {topic} in {city}.",
        ],
        "test": [
            "{name} chairs a discussion of {topic} in {city} at {hour}:00.",
            "A talk on {topic} by {name} takes place in {city} at {hour}:00.",
        ],
    },
    "person": {
        "train": [
            "{name} is {age} years old, lives in {city} and works as a {job}.",
            "A {age}-year-old {job} from {city} is called {name}.",
            "{name}, aged {age}, is a {job} in {city}.",
        ],
        "test": [
            "{name} from {city} is a {job} and {age} years of age.",
            "In {city} lives the {job} {name}, {age} years old.",
        ],
    },
}
JOBS = {
    "train": "teacher nurse baker lawyer pilot farmer".split(),
    "test": "dentist painter chemist driver".split(),
}
FRAME = {
    "train": [
        "Extract {keys} as JSON: {text}",
        "Text: {text}\nReturn a JSON object with the keys {keys}.",
        "Read the text and answer with JSON that has {keys}. {text}",
    ],
    "test": [
        "{text} Write {keys} from this text as a JSON object.",
        "From the following text, fill a JSON object with {keys}: {text}",
    ],
}


def make(rng: random.Random, split: Split) -> Example:
    """Return one sentence with the JSON of some of its facts."""
    origin, destination = rng.sample(CITIES[split], 2)
    facts = {
        "name": rng.choice(PEOPLE[split]),
        "item": rng.choice(THINGS[split]),
        "quantity": rng.randint(2, 60),
        "price": rng.randint(5, 900),
        "origin": origin,
        "destination": destination,
        "city": origin,
        "day": rng.randint(1, 28),
        "month": rng.choice(MONTHS),
        "topic": rng.choice(TOPICS[split]),
        "hour": rng.randint(8, 19),
        "age": rng.randint(18, 80),
        "job": rng.choice(JOBS[split]),
    }
    template = rng.choice(SHAPES[rng.choice(sorted(SHAPES))][split])
    present = [key for key in facts if f"{{{key}}}" in template]
    keys = [key for key in present if rng.random() < 0.75] or present[:1]
    rng.shuffle(keys)
    wanted = {key: facts[key] for key in keys}
    prompt = rng.choice(FRAME[split]).format(keys=", ".join(keys), text=template.format(**facts))
    return Example(prompt, json.dumps(wanted), "json", wanted)
