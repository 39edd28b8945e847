"""An observer that keeps what it hears."""

from motet.operations.base import Observer


class Recording(Observer):
    """Keeps each event as `(what, composition, told)`, in the order it came."""

    def __init__(self):
        self.events = []

    def began(self, request, composition):
        self.events.append(("began", composition, request))

    def decided(self, request, composition, decision):
        self.events.append(("decided", composition, decision))

    def called(self, request, composition, call):
        self.events.append(("called", composition, call))

    def finished(self, request, composition, outcome):
        self.events.append(("finished", composition, outcome))

    @property
    def names(self):
        return [what for what, *_ in self.events]

    def of(self, what):
        return [told for name, _, told in self.events if name == what]
