"""When to use it: you try tf.data service on one machine, a dispatcher and workers, each a process of its own.

with Cluster(workers=2) as cluster:
    dataset.apply(tf.data.experimental.service.distribute("distributed_epoch", cluster.address))
"""

import contextlib
import multiprocessing
import os
import pathlib
import random
import signal
import socket
import tempfile
from multiprocessing import connection

import server

# Forks of one process that has imported TensorFlow, and done nothing with it, start in no time.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tensorflow"])


def serve(kind, options, folder, ready):
    """In a process of its own: a server, to the end of the process that started it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the trainer first, which ends the servers.
    os.chdir(folder)
    serving = getattr(server, kind)(**options)
    ready.send(os.getpid())
    connection.wait([multiprocessing.parent_process().sentinel])
    server.ends_at_once(serving)


def free_ports(count):
    """Ports that nothing listens on: workers that shard files are known to the dispatcher before they start.

    Below those that outgoing connections get, which could take one while its server is down.
    """
    ports = []
    for port in random.sample(range(20000, 32000), 1000):
        with contextlib.suppress(OSError), socket.create_server(("localhost", port)):
            ports.append(port)
        if len(ports) == count:
            return ports
    raise RuntimeError("No ports are free from 20000 to 32000.")


class Cluster:
    """The processes, by name, from the start of a with-block to its end."""

    def __init__(self, workers=2):
        port, *ports = free_ports(1 + workers)
        self.address = f"grpc://localhost:{port}"
        self.workers = [f"localhost:{its_port}" for its_port in ports]
        self.options = {"dispatcher": {"port": port, "worker": self.workers, "work_dir": "journal"}}
        for address, its_port in zip(self.workers, ports, strict=True):
            self.options[address] = {"port": its_port, "address": address, "dispatcher": f"localhost:{port}"}
        self.processes = {}
        self.folder = tempfile.TemporaryDirectory(prefix="service-")

    def start(self, *names):
        """Starts these, side by side, and returns when they serve. One that was killed is started again just so."""
        told = {}
        for name in names:
            folder = pathlib.Path(self.folder.name, name)
            folder.mkdir(exist_ok=True)
            told[name], ready = PROCESSES.Pipe(duplex=False)
            kind = "dispatcher" if name == "dispatcher" else "worker"
            arguments = (kind, self.options[name], str(folder), ready)
            process = PROCESSES.Process(target=serve, args=arguments, name=name)
            process.start()
            self.processes[name] = process
            ready.close()
        return {name: end.recv() for name, end in told.items()}

    def kill(self, *names):
        """As the machine's end would: nothing is said, and nothing is written any more."""
        for name in names:
            self.processes[name].kill()
            self.processes[name].join()

    def __enter__(self):
        try:
            self.start(*self.options)
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        self.kill(*self.processes)
        self.folder.cleanup()
