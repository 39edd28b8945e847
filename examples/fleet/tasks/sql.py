"""Questions about one table, answered in SQL and graded by running it in SQLite."""

from __future__ import annotations

import random
from dataclasses import dataclass

from tasks.example import Example, Split


@dataclass(frozen=True)
class Schema:
    """A table: its name, a naming column, word columns with their values, number columns."""

    table: str
    label: str
    words: dict[str, list[str]]
    numbers: tuple[str, ...]


def _schema(table: str, label: str, words: dict[str, str], numbers: str) -> Schema:
    return Schema(table, label, {k: v.split() for k, v in words.items()}, tuple(numbers.split()))


SCHEMAS = {
    "train": [
        _schema("employees", "name", {"department": "Sales Legal Support"}, "salary age"),
        _schema("products", "title", {"category": "Toys Garden Music"}, "price stock"),
        _schema("students", "name", {"school": "North West Hill"}, "grade age"),
        _schema("books", "title", {"genre": "Crime Poetry History"}, "pages year"),
        _schema("cities", "name", {"country": "Spain Kenya Peru"}, "population area"),
        _schema("cars", "model", {"colour": "red blue white"}, "price mileage"),
        _schema("orders", "code", {"status": "open paid closed"}, "amount items"),
        _schema("players", "name", {"team": "Lions Bears Hawks"}, "goals age"),
        _schema("houses", "address", {"town": "Leeds York Bath"}, "rooms price"),
        _schema("songs", "title", {"artist": "Nova Echo Luna"}, "length plays"),
    ],
    "test": [
        _schema("flights", "code", {"airline": "Delta Swiss Iberia"}, "distance seats"),
        _schema("movies", "title", {"director": "Silva Okoye Tanaka"}, "rating duration"),
        _schema("patients", "name", {"ward": "A B C"}, "weight height"),
        _schema("hotels", "name", {"region": "coast alps lake"}, "stars rooms"),
        _schema("animals", "name", {"species": "wolf lynx otter"}, "weight age"),
    ],
}
FRAME = {
    "train": [
        "Table: {s}\nQuestion: {q}\nSQL:",
        "Given the table {s}, write a SQL query. {q}",
        "Schema: {s}. Write SQL for: {q}",
    ],
    "test": [
        "Using the table {s}, answer with a SQL query: {q}",
        "For table {s}. {q} Reply in SQL.",
    ],
}
SHOW = {
    "train": ["List the {c} of {t}", "Show the {c} of {t}", "What is the {c} of the {t}"],
    "test": ["Give the {c} of {t}", "Find the {c} of {t}"],
}
MORE = {
    "train": ["whose {n} is greater than {v}", "with {n} over {v}", "where {n} is more than {v}"],
    "test": ["whose {n} is above {v}", "with {n} greater than {v}"],
}
LESS = {
    "train": ["whose {n} is less than {v}", "with {n} under {v}", "where {n} is smaller than {v}"],
    "test": ["whose {n} is below {v}", "with {n} less than {v}"],
}
IS = {
    "train": ["whose {w} is {v}", "where {w} is {v}", "with {w} {v}"],
    "test": ["whose {w} equals {v}", "that have {w} {v}"],
}
COUNT = {
    "train": ["How many {t} are there", "Count the {t}"],
    "test": ["What is the number of {t}", "How many {t} exist"],
}
FOLD = {
    "train": ["What is the {f} {n} of the {t}", "Find the {f} {n} of {t}"],
    "test": ["Give the {f} {n} of all {t}", "Compute the {f} {n} of {t}"],
}
PER = {
    "train": ["How many {t} are there for each {w}", "Count the {t} per {w}"],
    "test": ["Give the number of {t} for each {w}"],
}
TOP = {
    "train": [
        "Which {c} has the highest {n} among {t}",
        "Show the {c} of {t} with the highest {n}",
    ],
    "test": ["Give the {c} with the highest {n} in {t}"],
}
FOLDS = {"average": "AVG", "highest": "MAX", "lowest": "MIN", "total": "SUM"}


def make(rng: random.Random, split: Split) -> Example:
    """Return one question with its query and the rows to run both on."""
    schema = rng.choice(SCHEMAS[split])
    columns = ["id", schema.label, *schema.words, *schema.numbers]
    kind = rng.choice(["show", "show", "both", "count", "count", "fold", "per", "top"])
    where_text, where = _condition(rng, split, schema)
    fill = {
        "t": schema.table,
        "c": schema.label,
        "n": rng.choice(schema.numbers),
        "w": next(iter(schema.words)),
    }
    if kind in ("show", "both"):
        if kind == "both":
            more_text, more = _condition(rng, split, schema, other=where)
            where_text, where = f"{where_text} and {more_text}", f"{where} AND {more}"
        question = f"{rng.choice(SHOW[split]).format(**fill)} {where_text}"
        query = f"SELECT {schema.label} FROM {schema.table} WHERE {where}"
    elif kind == "count":
        question = f"{rng.choice(COUNT[split]).format(**fill)} {where_text}"
        query = f"SELECT COUNT(*) FROM {schema.table} WHERE {where}"
    elif kind == "fold":
        word = rng.choice(sorted(FOLDS))
        question = rng.choice(FOLD[split]).format(f=word, **fill)
        query = f"SELECT {FOLDS[word]}({fill['n']}) FROM {schema.table}"
    elif kind == "per":
        question = rng.choice(PER[split]).format(**fill)
        query = f"SELECT {fill['w']}, COUNT(*) FROM {schema.table} GROUP BY {fill['w']}"
    else:
        question = rng.choice(TOP[split]).format(**fill)
        query = f"SELECT {schema.label} FROM {schema.table} ORDER BY {fill['n']} DESC LIMIT 1"
    mark = "?" if question.startswith(("How", "What", "Which")) else "."
    head = f"{schema.table}({', '.join(columns)})"
    prompt = rng.choice(FRAME[split]).format(s=head, q=question + mark)
    return Example(prompt, query, "sql", {"setup": _rows(rng, schema), "query": query})


def _condition(
    rng: random.Random, split: Split, schema: Schema, other: str = ""
) -> tuple[str, str]:
    """Return a condition in words and in SQL, on another column than `other`."""
    free = [n for n in schema.numbers if not other.startswith(n)]
    if rng.random() < 0.4 and not other.startswith(tuple(schema.words)):
        column, values = rng.choice(sorted(schema.words.items()))
        value = rng.choice(values)
        return rng.choice(IS[split]).format(w=column, v=value), f"{column} = '{value}'"
    column, value = rng.choice(free), rng.randint(2, 90) * 10
    if rng.random() < 0.5:
        return rng.choice(MORE[split]).format(n=column, v=value), f"{column} > {value}"
    return rng.choice(LESS[split]).format(n=column, v=value), f"{column} < {value}"


def _rows(rng: random.Random, schema: Schema) -> str:
    """Return the statements that fill the table, so that different queries differ in result."""
    columns = [f"{schema.label} TEXT", *(f"{w} TEXT" for w in schema.words)]
    columns += [f"{number} INTEGER" for number in schema.numbers]
    rows = []
    # Distinct numbers leave no ties for "highest" to break.
    spread = {number: rng.sample(range(5, 995), 24) for number in schema.numbers}
    for row in range(24):
        words = [f"'{rng.choice(values)}'" for values in schema.words.values()]
        numbers = [str(spread[number][row]) for number in schema.numbers]
        rows.append(f"({row + 1}, '{schema.label}{row + 1}', {', '.join([*words, *numbers])})")
    return (
        f"CREATE TABLE {schema.table} (id INTEGER, {', '.join(columns)}); "
        f"INSERT INTO {schema.table} VALUES {', '.join(rows)};"
    )
