#!/usr/bin/env python3
"""An OTLP collector that keeps what a test needs to know: collector.py PORT DIR.

Takes OTLP over HTTP with protobuf bodies. DIR/spans.tsv: trace id, span id, parent's id or -, node, scope, name. DIR/metrics.tsv: node, name.
"""
import http.server
import sys


def fields(message):
    """(number, value) of a protobuf message; value is bytes or an int."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        key = varint()
        kind = key & 7
        if kind == 0:
            yield key >> 3, varint()
            continue
        length = {1: 8, 5: 4}.get(kind) or varint()
        yield key >> 3, message[at:at + length]
        at += length


def all_of(message, number):
    return [value for found, value in fields(message) if found == number]


def one(message, number):
    return next(iter(all_of(message, number)), b'')


def node(resource):
    for attribute in all_of(resource, 1):
        if one(attribute, 1) == b'service.instance.id':
            return one(one(attribute, 2), 1).decode()
    return '-'


class Collector(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def do_POST(self):
        body = self.rfile.read(int(self.headers['content-length']))
        lines = []
        for resource in all_of(body, 1):
            where = node(one(resource, 1))
            for scope in all_of(resource, 2):
                name = one(one(scope, 1), 1).decode()
                for item in all_of(scope, 2):
                    if self.path == '/v1/traces':
                        lines.append('\t'.join([one(item, 1).hex(), one(item, 2).hex(), one(item, 4).hex() or '-', where, name, one(item, 5).decode()]))
                    else:
                        lines.append('\t'.join([where, one(item, 1).decode()]))
        with open(f'{sys.argv[2]}/{"spans" if self.path == "/v1/traces" else "metrics"}.tsv', 'a', encoding='utf-8') as kept:
            kept.writelines(line + '\n' for line in lines)
        self.send_response(200)
        self.send_header('content-type', 'application/x-protobuf')
        self.send_header('content-length', '0')
        self.end_headers()

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), Collector).serve_forever()
