"""What the tests of files and batches share: a service that keeps them, and lines for it."""

import json

FLEET = """
version: 1
experts:
  - {{id: echo, engine: fake, price: {{input: 1, output: 2}}}}
  - {{id: slow, engine: fake, tokens: ["1"], delay_s: {delay}}}
  - {{id: dead, engine: fake, fail_after: 0, error: rejected}}
service: {{batches: {{max_file_bytes: 100KB, max_lines: 50, concurrency: 2}}}}
store: {{path: {store}}}
"""


def line(name, model="echo", **fields):
    body = {"model": model, "messages": [{"role": "user", "content": f"hello {name}"}], **fields}
    return {"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": body}


def jsonl(*lines):
    return "".join(json.dumps(each) + "\n" for each in lines).encode()


def created(client, content, window="24h"):
    file = client.files.create(file=("in.jsonl", content), purpose="batch")
    return client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window=window
    )
