"""When to use it: input is prepared by tf.data service; each process of the service runs this, on any machine.

    python server.py dispatcher --port 5050 --work-dir DIR --worker host-0:5051 --worker host-1:5051
    python server.py worker --port 5051 --address host-0:5051 --dispatcher host:5050

It needs TensorFlow alone: what workers do comes to them as a graph, mixes too.
"""

import argparse
import os
import pathlib
import signal
import threading

import tensorflow as tf


def dispatcher(port, worker=None, work_dir=None):
    """Hands out work, and remembers it in `work_dir` over a restart. FILE and DATA shard among these workers."""
    journal = {"work_dir": work_dir, "fault_tolerant_mode": work_dir is not None}
    service = tf.data.experimental.service
    return service.DispatchServer(service.DispatcherConfig(port=port, worker_addresses=worker, **journal))


def worker(port, address, dispatcher):
    """Prepares batches; trainers find it at `address`. A graph that reads the file `worker` learns where it runs."""
    pathlib.Path("worker").write_text(address)
    service = tf.data.experimental.service
    return service.WorkerServer(service.WorkerConfig(dispatcher, worker_address=address, port=port))


def ends_at_once(*_):
    """Servers that are stopped wait for each other, for minutes."""
    os._exit(0)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    each = {kind: kinds.add_parser(kind.__name__) for kind in (dispatcher, worker)}
    for kind in each.values():
        kind.add_argument("--port", type=int, required=True)
    each[dispatcher].add_argument("--worker", action="append")
    each[dispatcher].add_argument("--work-dir")
    each[worker].add_argument("--address", required=True)
    each[worker].add_argument("--dispatcher", required=True)
    return vars(parser.parse_args())


if __name__ == "__main__":
    for end in (signal.SIGINT, signal.SIGTERM):
        signal.signal(end, ends_at_once)
    options = arguments()
    server = {"dispatcher": dispatcher, "worker": worker}[options.pop("kind")](**options)
    print("serving", flush=True)
    threading.Event().wait()
