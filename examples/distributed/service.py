"""When to use it: preparing input takes longer than training on it; other processes or machines are to prepare it.

    python examples/distributed/service.py --workers 2 --where after --sharding DYNAMIC

Starts a dispatcher and workers of tf.data service here, each a process of its own, trains on what they send, and ends
them. On several machines: see the folder kubernetes.
"""

import argparse
import os
import signal
import sys

from cluster import Cluster


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2, help="how many are started; default 2")
    parser.add_argument("--where", choices=["after", "workers"], default="after", help="after (default): seeded")
    parser.add_argument("--sharding", choices=["OFF", "DYNAMIC", "FILE", "DATA"], default="DYNAMIC")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--service", help="the address, grpc://host:port, of a service that runs: starts none")
    parser.add_argument("--folder", help="for the data, where all workers can read; default: one that is deleted")
    told = parser.parse_args()
    if told.service and not told.folder:
        parser.error("--service needs --folder: its workers read the data there.")
    return told


def run(told, address, folder):
    # Here, because the servers' processes import this file as well, and need none of this.
    from training import batches, distributed, train

    dataset = distributed(batches(folder), address, told.sharding, told.where)
    print(f"mixed {'on' if told.where == 'workers' else 'after'} the workers, sharding {told.sharding}", flush=True)
    print({"accuracy": round(train(dataset, told.epochs), 3)})


def main():
    told = options()
    if told.service:
        run(told, told.service, told.folder)
        return
    cluster = Cluster(told.workers)

    def interrupted(number, _):
        cluster.end()
        print("Interrupted: the servers are ended.", file=sys.stderr)
        os._exit(128 + number)  # Else, what still reads waits for the servers.

    signal.signal(signal.SIGINT, interrupted)
    signal.signal(signal.SIGTERM, interrupted)
    with cluster:
        for name, process in cluster.processes.items():
            print(f"started process {process.pid}: {name}", flush=True)
        run(told, cluster.address, told.folder or cluster.folder.name)


if __name__ == "__main__":
    main()
