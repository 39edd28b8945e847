"""Questions and documents of several domains, generated here: what people say, what books say.

In a domain a question names a thing, a trouble and a setting in everyday words, and the document
that answers it names them in the words of the trade. The everyday words are shared by domains and
mean something else in each ("charge", "line", "cell"), so that one map of queries for all domains
must compromise. The last domain is no template: headings of this project's own documentation, whose
documents are the text below them.
"""

from __future__ import annotations

import itertools
import random
import re
from pathlib import Path

from motet.lab.retrieval.data import Question

ROOT = Path(__file__).resolve().parent.parent

LEXICON: dict[str, tuple[dict[str, str], dict[str, str], dict[str, str]]] = {
    "law": (
        {
            "the charge": "the indictment",
            "the agreement": "the instrument of covenant",
            "the landlord's paper": "the demise",
            "the promise": "the undertaking",
            "the will": "the testamentary disposition",
            "the company's rules": "the articles of association",
            "the loan": "the mortgage deed",
            "the boss": "the principal",
        },
        {
            "is too old": "is statute-barred by limitation",
            "was broken": "stands repudiated",
            "was made under pressure": "is vitiated by duress",
            "is missing a name": "fails for uncertainty of parties",
            "was never signed": "lacks execution",
            "was passed on": "was assigned in equity",
            "got cancelled": "was rescinded ab initio",
            "is unfair": "is unconscionable",
        },
        {
            "before the hearing": "ante litem",
            "after somebody died": "post mortem of the grantor",
            "while the case runs": "pendente lite",
            "in another country": "ex territorio",
        },
    ),
    "sailing": (
        {
            "the line": "the halyard",
            "the front sail": "the genoa",
            "the big pole": "the mast",
            "the steering": "the rudder stock",
            "the rope at the corner": "the sheet",
            "the floor": "the sole",
            "the anchor chain": "the rode",
            "the pump": "the bilge impeller",
        },
        {
            "is stuck": "is fouled in the sheave",
            "was broken": "has parted",
            "makes noise": "is slatting",
            "lets water in": "is weeping at the seam",
            "is too loose": "wants tensioning with the winch",
            "turns by itself": "yaws without helm",
            "got cancelled": "was struck below",
            "is too old": "is chafed through",
        },
        {
            "with wind from behind": "while running by the lee",
            "while turning": "when going about",
            "in the harbour": "alongside at the berth",
            "in another country": "under a courtesy ensign",
        },
    ),
    "power": (
        {
            "the line": "the feeder",
            "the charge": "the state of electrification",
            "the cell": "the electrochemical accumulator",
            "the box on the wall": "the consumer unit",
            "the switch": "the contactor",
            "the boss": "the master controller",
            "the meter": "the revenue wattmeter",
            "the panel": "the photovoltaic array",
        },
        {
            "is stuck": "has welded contacts",
            "makes noise": "hums at the second harmonic",
            "is too loose": "shows a high-resistance joint",
            "was broken": "has gone open circuit",
            "turns by itself": "reverses on phase rotation",
            "is unfair": "is out of balance between phases",
            "was passed on": "was transferred to the tie breaker",
            "never fills": "fails to reach float voltage",
        },
        {
            "while the case runs": "with the enclosure energised",
            "before the hearing": "ahead of the acoustic test",
            "at night": "under zero irradiance",
            "in the harbour": "on shore supply",
        },
    ),
    "cells": (
        {
            "the cell": "the eukaryocyte",
            "the charge": "the membrane potential",
            "the wall": "the peptidoglycan layer",
            "the will": "the motivational drive",
            "the floor": "the basal lamina",
            "the pump": "the sodium-potassium ATPase",
            "the line": "the immortalised lineage",
            "the big pole": "the animal hemisphere",
        },
        {
            "is too old": "is senescent",
            "lets water in": "undergoes osmotic lysis",
            "was passed on": "was inherited through the germline",
            "never fills": "remains hypopolarised",
            "turns by itself": "rotates by cytoplasmic streaming",
            "got cancelled": "was silenced by methylation",
            "was made under pressure": "arose by selection",
            "is missing a name": "lacks an annotated locus",
        },
        {
            "after somebody died": "in necropsy material",
            "while turning": "during chirality reversal",
            "with wind from behind": "under shear flow",
            "before the hearing": "prior to cochlear onset",
        },
    ),
}
_ASKING = (
    "What do I do when {0} {1} {2}?",
    "{0} {1} {2}, is there help?",
    "why is it that {0} {1} {2}",
    "{2} {0} {1}. What now?",
)
_ANSWERING = (
    "Where {0} {1} {2}, the procedure is as follows.",
    "On {0}: if it {1} {2}, proceed by the book.",
    "This note treats of {0} that {1} {2}.",
)


CUES = {
    "law": "in this lawsuit",
    "sailing": "on our boat",
    "power": "at the substation",
    "cells": "under the microscope",
}
"""What a question may say of where it is asked."""


def generated(per_domain: int, rng: random.Random, *, cued: bool) -> list[Question]:
    """Return pairs of the generated domains, each document once.

    Parameters
    ----------
    cued
        Whether a question says where it is asked, so that its domain can be told.
    """
    pairs = []
    for domain, (things, troubles, settings) in LEXICON.items():
        every = list(itertools.product(things, troubles, settings))
        for thing, trouble, setting in rng.sample(every, min(per_domain, len(every))):
            said = things[thing], troubles[trouble], settings[setting]
            question = rng.choice(_ASKING).format(thing, trouble, setting)
            if cued:
                question += f" This is {CUES[domain]}."
            pairs.append(Question(domain, question, rng.choice(_ANSWERING).format(*said)))
    return pairs


def manual() -> list[Question]:
    """Return headings of our documentation with the text that follows them."""
    pairs = []
    for page in sorted((ROOT / "docs").glob("*.md")):
        if page.name in ("config.md", "architecture.md"):
            continue  # generated from code
        _, *sections = re.split(r"^#+ ", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
        for section in sections:
            heading, _, body = section.partition("\n")
            body = " ".join(body.split())[:600]
            if len(body) > 80:
                pairs.append(Question("manual", f"{page.stem}: {heading.strip()}", body))
    return pairs
