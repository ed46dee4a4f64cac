"""The first Flask application of every course, ready for a container."""

import os
import signal
import socket
import sys

from flask import Flask, jsonify, request

app = Flask(__name__)


@app.route("/")
def hello():
    name = request.args.get("name", "World")
    return f"Hello, {name}! This is {socket.gethostname()}.\n", 200, {"Content-Type": "text/plain; charset=utf-8"}


@app.route("/healthz")
def healthz():
    return jsonify(status="ok")


def stop(_signal, _frame):
    # The first process of a container gets no default handler, so without this a stop would wait for a kill.
    sys.exit(0)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, stop)
    app.run(host="0.0.0.0", port=int(os.environ.get("PORT", "5000")))
