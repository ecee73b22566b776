"""A real attention_server on free ports of the loopback interface."""

import contextlib
import json
import os
import random
import re
import signal
import socket
import subprocess
import threading
import urllib.error
import urllib.request

import grpc

from attention.v1 import attention_service_pb2_grpc

SERVER_BINARY = os.environ["TEST_SERVER_BINARY"]
START_SECONDS = 60

# Tests wait for neither, unless they are about it.
_QUICK = {"ATTENTION_DRAIN_GRACE_MS": "0", "ATTENTION_WARM_UP": "none"}

MAX_MESSAGE_BYTES = 512 << 20

_SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def clean_environment(**additions):
    """This process's environment without what would configure a server."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("ATTENTION_")}
    return kept | additions


def get(http_address, path):
    """Returns (status, body)."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://{http_address}{path}", timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def free_address():
    """An address that nobody listens at. The system gives such ports to nobody who does not ask for
    them by number, as it would give one of its own choice to the next connection."""
    while True:
        address = ("127.0.0.1", random.randrange(20_000, 30_000))
        with contextlib.suppress(OSError), socket.create_server(address):
            return f"127.0.0.1:{address[1]}"


class ServerProcess:
    """Starts the server with `flags`; use as a context manager, or call end_well()."""

    def __init__(self, *flags, environment=None):
        self._process = subprocess.Popen(
            [SERVER_BINARY, "--grpc-address=127.0.0.1:0", "--http-address=127.0.0.1:0", *flags],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            env=clean_environment(**_QUICK | (environment or {})))
        self.pid = self._process.pid
        self.log_lines = []
        self._serving = threading.Event()
        self._addresses = {}
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()
        if not self._serving.wait(START_SECONDS) or not self._addresses:
            self.stop()
            raise RuntimeError("the server did not start:\n" + self.log)
        self.channel = self.open_channel()
        self.stub = attention_service_pb2_grpc.AttentionServiceStub(self.channel)

    def __enter__(self):
        return self

    def __exit__(self, exception_type, exception, traceback):
        if exception_type is None:
            self.end_well()
        else:
            self.stop()  # what went wrong first says more

    @property
    def grpc_address(self):
        return self._addresses["grpc_address"]

    @property
    def http_address(self):
        return self._addresses["http_address"]

    @property
    def log(self):
        return "".join(self.log_lines)

    def open_channel(self):
        """A connection of its own, for messages of any size the server allows, without retries."""
        return grpc.insecure_channel(self.grpc_address, options=[
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
            ("grpc.enable_retries", 0),
            ("grpc.enable_http_proxy", 0),
            ("grpc.use_local_subchannel_pool", 1),
        ])

    def call(self, method, request_bytes, timeout=60):
        """Sends bytes as they are; returns the answer's bytes or raises grpc.RpcError."""
        function = self.channel.unary_unary(f"/attention.v1.AttentionService/{method}")
        return function(request_bytes, timeout=timeout)

    def get(self, path):
        """Returns (status, body) of the HTTP part."""
        return get(self.http_address, path)

    def samples(self):
        """The metrics as {(name, ((label, value), ...)): number}."""
        status, text = self.get("/metrics")
        assert status == 200, status
        found = {}
        for line in text.splitlines():
            match = _SAMPLE.match(line)
            if match and not line.startswith("#"):
                labels = tuple(sorted(_LABEL.findall(match.group(2) or "")))
                found[match.group(1), labels] = float(match.group(3))
        return found

    def sample(self, name, **labels):
        """The sum of the samples of `name` that have at least `labels`."""
        return sum(
            number for (each, its_labels), number in self.samples().items()
            if each == name and set(labels.items()) <= set(its_labels))

    def resident_bytes(self):
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:
            for line in status:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) << 10
        raise RuntimeError("no VmRSS")

    def signal(self, number=signal.SIGTERM):
        self._process.send_signal(number)

    def wait(self, timeout=60):
        """Waits for the process to end and returns its exit code."""
        code = self._process.wait(timeout)
        self._reader.join(10)
        return code

    def stop(self):
        """Ends the process, however it is; returns its exit code."""
        if hasattr(self, "channel"):
            self.channel.close()
        if self._process.poll() is None:
            self.signal()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self.signal(signal.SIGKILL)
        code = self.wait()
        self._process.stderr.close()
        return code

    def end_well(self):
        """Ends the process; fails where its exit code is not 0, as it is after a leak, too."""
        code = self.stop()
        assert code == 0, f"the server ended with {code}:\n{self.log}"

    def _read_log(self):
        for line in self._process.stderr:
            self.log_lines.append(line)
            if '"serving"' in line and not self._addresses:
                self._addresses = json.loads(line)
                self._serving.set()
        self._serving.set()
