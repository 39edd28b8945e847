"""The skills that the lexical annotator knows, and the words that show them.

One entry a skill: words and two-word phrases, parted by commas. A word stands for its plural too.
The list covers the subjects and tasks that public benchmarks of language models ask; it names no
data set and no expert.
"""

from __future__ import annotations

from collections.abc import Iterator

SKILLS = {
    # Mathematics
    "arithmetic": "add, plus, minus, subtract, multiply, divide, times, twice, double, half, "
    "how many, how much, in all, altogether, total, are left, remain, sum, difference, dozen, "
    "more than, fewer, percent, quotient",
    "money": "dollar, cent, price, cost, pay, paid, earn, spend, sell, sold, buy, bought, $",
    "algebra": "equation, polynomial, variable, solve for, factor, quadratic, linear, matrix, "
    "vector space, eigenvalue, subspace, inequality, logarithm",
    "abstract algebra": "group, ring, field, isomorphic, homomorphism, abelian, cyclic, subgroup, "
    "ideal, permutation, coset, z 2",
    "geometry": "triangle, circle, angle, rectangle, square, radius, perimeter, area, volume, "
    "polygon, parallel, perpendicular, cube, diameter, diagonal",
    "calculus": "derivative, integral, limit, differentiable, continuous, converge, series, "
    "differential, integrate",
    "statistics": "mean, median, variance, probability, random, sample, distribution, "
    "standard deviation, regression, correlation, hypothesis, confidence interval, dice, coin",
    "number theory": "prime, integer, divisor, divisible, remainder, modulo, gcd, digit, "
    "factorial, fibonacci, multiple of",
    "logic": "premise, conclusion, argument, valid, fallacy, implies, proposition, predicate, "
    "truth table, syllogism, therefore, contrapositive, tautology",
    # Programs
    "code": "function, def, class, return, code, program, algorithm, import, array, list of, "
    "string, loop, compile, variable, implement, method, api, script, bug",
    "python": "python, pandas, numpy, def, elif, django, tuple, typing",
    "javascript": "javascript, typescript, node, react, const, async, console, npm, jquery, "
    "undefined",
    "java": "java, public static, void, jvm, spring, private, extends",
    "c++": "c++, cpp, std, include, pointer, malloc, struct, printf",
    "sql": "sql, query, where clause, database, group by, schema, column, postgres, sqlite",
    "regex": "regex, regexp, regular expression, pattern, matches, wildcard",
    "shell": "bash, shell, terminal, linux, command line, grep, sudo, directory",
    "web": "html, css, website, url, http, browser",
    "json": "json, yaml, xml, csv, key, object with, schema",
    "security": "encryption, password, malware, attack, vulnerability, firewall, exploit, "
    "phishing, cryptography, hacker",
    "computer science": "cpu, memory, operating system, binary, compiler, complexity, network, "
    "protocol, processor, bit, byte, cache, turing, internet, computer",
    "machine learning": "neural, training, classifier, gradient, overfitting, learning rate, "
    "dataset, regularization, backpropagation, kernel",
    # Sciences
    "physics": "force, velocity, acceleration, mass, energy, momentum, gravity, electron, "
    "magnetic, voltage, current, wave, light, frequency, heat, temperature, friction, kinetic, "
    "quantum, lens, circuit, speed, pressure, spring, charge, newton, work",
    "electronics": "circuit, voltage, resistor, capacitor, transistor, diode, amplifier, motor, "
    "transformer, coil, armature, semiconductor, impedance, signal",
    "chemistry": "chemical, molecule, reaction, acid, atom, ion, compound, solution, mole, "
    "oxygen, hydrogen, carbon, metal, bond, oxidation, element, mixture, base, electron, "
    "orbital, ph, catalyst, gas, liquid",
    "biology": "cell, organism, plant, animal, species, dna, protein, enzyme, photosynthesis, "
    "evolution, ecosystem, population, membrane, bacteria, habitat, predator, leaf, insect, "
    "nucleus, mitochondria, food chain, trait, offspring",
    "genetics": "gene, allele, chromosome, dna, mutation, genotype, phenotype, inherited, "
    "dominant, recessive, rna, hereditary, genetic",
    "earth science": "rock, soil, erosion, earthquake, volcano, weather, climate, ocean, "
    "sediment, fossil, mineral, atmosphere, river, glacier, tectonic, wind, rain, water cycle, "
    "fault, crust, mountain",
    "astronomy": "planet, star, moon, orbit, galaxy, solar system, telescope, comet, asteroid, "
    "sun, mars, jupiter, earth, universe, eclipse",
    "medicine": "patient, disease, symptom, treatment, doctor, hospital, drug, blood, therapy, "
    "diagnosis, infection, cancer, nurse, clinical, surgery, vaccine, virus, muscle, syndrome, "
    "dose, pain, heart, lung, kidney, liver, hiv",
    "nutrition": "vitamin, diet, protein, food, calorie, obesity, nutrient, fat, dietary, "
    "intake, carbohydrate, iron, eat",
    "environment": "pollution, renewable, recycle, fossil fuel, global warming, conservation, "
    "resource, coal, greenhouse",
    "experiment": "experiment, scientist, student, investigation, hypothesis, measure, lab, "
    "observe, data, conclusion, best describes",
    # People and society
    "history": "war, century, empire, king, revolution, treaty, ancient, colonial, dynasty, "
    "slavery, medieval, civilization, roman, president, archaeological, passage",
    "law": "court, defendant, plaintiff, contract, statute, crime, constitutional, jury, "
    "liability, tort, negligence, attorney, legal, law, convicted, property, treaty, "
    "jurisdiction, murder, sued",
    "politics": "government, election, vote, senate, congress, policy, democracy, party, "
    "president, state, foreign policy, parliament, nato, soviet, military",
    "economics": "economy, demand, supply, inflation, market, price, monetary, gdp, elasticity, "
    "interest rate, unemployment, trade, fiscal, consumer, monopoly, tax, marginal, aggregate, "
    "bank",
    "business": "company, manager, organization, marketing, employee, product, strategy, "
    "customer, firm, stakeholder, brand, management, leadership, profit, accounting",
    "psychology": "behavior, cognitive, psychologist, therapy, memory, personality, emotion, "
    "anxiety, freud, conditioning, child, perception, motivation, depression, test, self esteem, "
    "stress, adolescent",
    "sociology": "society, social, class, gender, family, culture, race, community, inequality, "
    "aging, older, adult, retirement, marriage",
    "philosophy": "moral, ethics, kant, argues, utilitarian, virtue, plato, philosopher, "
    "objection, morally, permissible, happiness, knowledge, right to, justice",
    "religion": "god, church, bible, islam, hindu, buddhist, jewish, christian, prayer, temple, "
    "muslim, sacred, quran, buddha, rabbi, pope",
    "geography": "capital, country, continent, city, population, border, region, map, river, "
    "mountain, island, ocean, migration, urban, agriculture, climate",
    "literature": "novel, poem, author, poet, shakespeare, character, story, wrote, metaphor, "
    "fiction, literary",
    "arts": "music, painting, film, song, artist, movie, composer, dance, theatre, album",
    "sport": "football, soccer, basketball, game, team, player, olympic, tennis, score, league, "
    "match, coach",
    # Kinds of tasks
    "extraction": "extract, text, keys, fields, return json, entities, named entity",
    "classification": "classify, category, label, which team, sentiment, positive or, intent, "
    "topic of, choose between, assign",
    "customer support": "customer, order, refund, account, shipping, delivery, invoice, billing, "
    "subscription, login, support, password, package, charged, return it, parcel",
    "summarization": "summarize, summary, tldr, main points, key points, in short, shorten",
    "translation": "translate, translation, into french, into english, into german, in spanish, "
    "into spanish, into chinese",
    "rewriting": "rewrite, rephrase, paraphrase, proofread, grammar, correct the, improve, edit",
    "writing": "essay, write a, story, poem, letter, email, blog, slogan, tweet, article, "
    "speech, draft",
    "units": "convert, kilometer, kilometre, metre, meter, centimetre, centimeter, cm, km, "
    "kilogram, gram, kg, litre, liter, ml, inch, foot, feet, mile, pound, ounce, celsius, "
    "fahrenheit, minutes are, hours are, weeks, unit",
    "time": "day, hour, minute, week, month, clock, today, tomorrow, yesterday, monday, tuesday, "
    "wednesday, thursday, friday, saturday, sunday, arrive, calendar, leap, o'clock, date",
    "pronouns": "because, _, refers to, pronoun, so the",
    "cooking": "recipe, cook, bake, ingredient, oven, boil, dish, flavour, flavor",
    "travel": "flight, hotel, travel, trip, tourist, airport, visit, itinerary",
    "everyday facts": "who is, who was, what colour, what color, name the, which country, "
    "what animal, opposite of, how old, capital of, where is, when did, largest, tallest",
    "conversation": "hello, hi, thanks, thank you, how are, good morning, please tell, tell me, "
    "what do, bye",
    "planning": "plan, schedule, steps to, agenda, checklist, organize, prepare, goal",
    "advice": "should i, recommend, suggest, advice, tips, best way, how can, help me",
}


def triggers() -> Iterator[tuple[str, str]]:
    """Yield every pair of trigger and skill."""
    for skill, words in SKILLS.items():
        for word in words.split(","):
            yield " ".join(word.split()), skill
