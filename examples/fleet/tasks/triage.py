"""Customers' messages sorted by the team that should answer."""

from __future__ import annotations

import random

from tasks.example import Example, Split

TEAMS = ("billing", "shipping", "technical", "account", "praise")
MESSAGES: dict[str, dict[str, list[str]]] = {
    "billing": {
        "train": [
            "I was charged twice for {p}",
            "The invoice for {p} shows the wrong amount",
            "I want my money back for {p}",
            "Why is the bill for {p} so high",
            "My card was declined when I paid for {p}",
            "I need a receipt for {p}",
            "The discount was not taken off the price of {p}",
            "You took a payment for {p} that I did not approve",
            "How do I get a refund for {p}",
            "There is an extra fee on my bill for {p}",
        ],
        "test": [
            "The payment for {p} was taken two times",
            "Please refund what I paid for {p}",
            "The price on my invoice for {p} is not right",
            "I do not understand this charge for {p}",
        ],
    },
    "shipping": {
        "train": [
            "My parcel with {p} has not arrived",
            "Where is my delivery of {p}",
            "The courier left {p} at the wrong house",
            "The tracking number for {p} does not work",
            "The package with {p} came damaged",
            "When will {p} be shipped",
            "Can you send {p} to another address",
            "{p} got lost on the way to me",
            "The delivery of {p} is a week late",
            "The driver never came with {p}",
        ],
        "test": [
            "I am still waiting for the package with {p}",
            "Has {p} been shipped yet",
            "The parcel with {p} went to a wrong address",
            "The delivery of {p} is late",
        ],
    },
    "technical": {
        "train": [
            "{p} crashes when I start it",
            "The screen of {p} stays black",
            "I get an error message from {p}",
            "{p} will not turn on",
            "{p} freezes every few minutes",
            "The update broke {p}",
            "{p} does not connect to the network",
            "The sound of {p} stopped working",
            "{p} is very slow since yesterday",
            "The battery of {p} does not charge",
        ],
        "test": [
            "{p} stops working after the update",
            "{p} shows an error and turns off",
            "I cannot connect {p} to the network",
            "{p} crashes all the time",
        ],
    },
    "account": {
        "train": [
            "I forgot my password for {p}",
            "I cannot log in to see {p}",
            "Please delete my profile and {p}",
            "How do I change my email address for {p}",
            "My user name for {p} is spelled wrong",
            "I am locked out of my account with {p}",
            "I want to close my account for {p}",
            "The reset link for my password to {p} never came",
            "Someone else signed in to my account with {p}",
            "How do I add a second user to {p}",
        ],
        "test": [
            "My password for {p} is not accepted at login",
            "I want to change the user name for {p}",
            "Please close my account with {p}",
            "I am locked out and cannot sign in to {p}",
        ],
    },
    "praise": {
        "train": [
            "I love {p}, thank you",
            "{p} is the best I ever had",
            "Great work on {p}",
            "Your team was so kind when I asked about {p}",
            "I am very happy with {p}",
            "{p} works perfectly, well done",
            "What a wonderful service with {p}",
            "I will tell all my friends about {p}",
            "Thanks for the quick help with {p}",
            "{p} made my day",
        ],
        "test": [
            "Thank you so much for {p}, I love it",
            "I am really happy about {p}",
            "{p} is wonderful, great job",
            "The best service ever, and {p} is perfect",
        ],
    },
}
PRODUCTS = {
    "train": "the printer|my camera|the headset|my phone|the tablet|the coffee machine|"
    "the keyboard|my watch|the speaker|the router".split("|"),
    "test": "the scanner|my laptop|the monitor|the projector|my drone|the game console".split("|"),
}
ENDINGS = {
    "train": [".", "!", ". Please help.", ". I have been a customer for years.", ". Regards."],
    "test": [".", ". Please answer soon.", ". I am writing for the second time."],
}
FRAME = {
    "train": [
        "Classify the message as one of {teams}. Message: {text}",
        "Which team should answer, {teams}? {text}",
        "Label this customer message ({teams}): {text}",
    ],
    "test": [
        "Sort this message into {teams}: {text}",
        "Choose the right label from {teams} for the message: {text}",
    ],
}


def make(rng: random.Random, split: Split) -> Example:
    """Return one message with its team."""
    team = rng.choice(TEAMS)
    text = rng.choice(MESSAGES[team][split]).format(p=rng.choice(PRODUCTS[split]))
    text = text[0].upper() + text[1:] + rng.choice(ENDINGS[split])
    order = list(TEAMS)
    rng.shuffle(order)
    prompt = rng.choice(FRAME[split]).format(teams=", ".join(order), text=text)
    return Example(prompt, team, "choice", {"choices": list(TEAMS), "answer": team})
