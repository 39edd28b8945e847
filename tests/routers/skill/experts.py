"""An expert that names skills, as far as it is asked."""

import json

from motet.errors import ExpertUnavailable


class Expert:
    """Says the same skills to everything; fails once `left` calls are made."""

    def __init__(self, left=10**9, said=("law", "tort law")):
        self.left, self.answer = left, json.dumps({"skills": said})
        self.asked = []

    async def ask(self, expert, request):
        if len(self.asked) >= self.left:
            raise ExpertUnavailable(expert, "is down.")
        self.asked.append(request)
        return self.answer
