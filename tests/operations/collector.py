"""A collector of traces on a real socket: it keeps the spans it is sent."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from tests.conftest import wait_for


class SpanReceived:
    """One span as plain values.

    Attributes
    ----------
    attributes
        By name; lists are lists.
    """

    def __init__(self, span, resource):
        self.name, self.kind, self.status = span.name, span.kind, span.status
        self.trace_id, self.id = span.trace_id.hex(), span.span_id.hex()
        self.parent, self.state = span.parent_span_id.hex(), span.trace_state
        self.start, self.end = span.start_time_unix_nano, span.end_time_unix_nano
        self.attributes = {each.key: _plain(each.value) for each in span.attributes}
        self.resource = {each.key: _plain(each.value) for each in resource.attributes}
        self.raw = span.SerializeToString()


def _plain(value):
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_plain(each) for each in value.array_value.values]
    return getattr(value, kind)


class Collector:
    """Takes spans at `url`.

    Attributes
    ----------
    status
        What it answers.
    """

    def __init__(self):
        self.spans, self.headers, self.paths = [], [], []
        self.status = 200
        self.rejects = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                content = self.rfile.read(int(self.headers["content-length"]))
                outer.paths.append(self.path)
                outer.headers.append(dict(self.headers))
                if outer.status == 200:
                    asked = ExportTraceServiceRequest.FromString(content)
                    outer.spans += [
                        SpanReceived(span, each.resource)
                        for each in asked.resource_spans
                        for scope in each.scope_spans
                        for span in scope.spans
                    ]
                said = ExportTraceServiceResponse()
                said.partial_success.rejected_spans = outer.rejects
                answer = said.SerializeToString()
                self.send_response(outer.status)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def wait(self, count, seconds=10.0):
        """Return the spans once there are so many."""
        wait_for(lambda: len(self.spans) >= count, seconds)
        return list(self.spans)

    def tree(self, count, seconds=10.0):
        """Return the one tree that the spans are: its root, and what is below it by name."""
        spans = self.wait(count, seconds)
        ids = {span.id for span in spans}
        assert len(ids) == len(spans) and len({span.trace_id for span in spans}) == 1
        roots = [span for span in spans if span.parent not in ids]
        assert len(roots) == 1, [span.name for span in roots]
        below = [span for span in spans if span is not roots[0]]
        assert all(span.parent == roots[0].id for span in below)
        assert all(roots[0].start <= s.start <= s.end <= roots[0].end for s in below)
        return roots[0], below


@contextmanager
def collecting():
    """Run a collector."""
    found = Collector()
    thread = threading.Thread(target=found.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        found.server.shutdown()
        found.server.server_close()
        thread.join(5)
