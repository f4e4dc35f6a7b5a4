"""When to use it: preparing input takes longer than training on it; other processes or machines are to prepare it.

    python examples/distributed/service.py --workers 2 --where after --sharding DYNAMIC

Starts a dispatcher and workers of tf.data service here, each a process of its own, trains on what they send, and ends
them. On several machines: see the folder kubernetes.
"""

import argparse
import signal
import sys
import tempfile

from cluster import Cluster


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2, help="how many are started; default 2")
    parser.add_argument("--where", choices=["after", "workers"], default="after", help="after (default): seeded")
    parser.add_argument("--sharding", choices=["OFF", "DYNAMIC", "FILE", "DATA"], default="DYNAMIC")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--service", help="the address of a service that runs, grpc://host:port: nothing is started")
    parser.add_argument("--folder", help="for the data, where all workers can read; default: a temporary one")
    return parser.parse_args()


def run(told, address):
    # Here, because the servers' processes import this file as well, and need none of this.
    from training import batches, distributed, train

    with tempfile.TemporaryDirectory(prefix="digits-") as folder:
        dataset = distributed(batches(told.folder or folder), address, told.sharding, told.where)
        print(
            f"mixed {'on' if told.where == 'workers' else 'after'} the workers, sharding {told.sharding}", flush=True
        )
        print({"accuracy": round(train(dataset, told.epochs), 3)})


def main():
    told = options()
    if told.service:
        return run(told, told.service)
    with Cluster(told.workers) as cluster:
        for name, process in cluster.processes.items():
            print(f"started process {process.pid}: {name}", flush=True)
        run(told, cluster.address)
    return None


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # As after Ctrl-C, the servers are ended first.
    try:
        main()
    except KeyboardInterrupt:
        print("Interrupted: the servers are ended.", file=sys.stderr)
        sys.exit(130)
