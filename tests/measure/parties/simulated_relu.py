"""ReLU twice between two threads of one process; prints what SPU's meter read, as JSON."""

import json
import sys
import tempfile
import time
from pathlib import Path

import jax
import numpy as np
import spu
import spu.libspu as libspu
import spu.utils.frontend as frontend
from spu.utils.simulation import PropagatingThread

from aero_search.measure.meter import read_profile

x = np.load(sys.argv[1], allow_pickle=False)
log = Path(tempfile.mkdtemp()) / "spu.log"
options = libspu.logging.LogOptions()
options.enable_console_logger = False
options.system_log_path = str(log)
libspu.logging.setup_logging(options)
config = libspu.RuntimeConfig(protocol=libspu.ProtocolKind.CHEETAH, field=libspu.FieldType.FM64)
shares = spu.Io(2, config).make_shares(x, libspu.Visibility.VIS_SECRET)
secret = [libspu.Visibility.VIS_SECRET]
executable, _ = frontend.compile(frontend.Kind.JAX, jax.nn.relu, [x], {}, ["x"], secret, lambda o: ["y"])
link = libspu.link.Desc()
link.recv_timeout_ms = 600_000
for rank in range(2):
    link.add_party(f"p{rank}", f"thread{rank}")
runtimes = [None, None]


def start(rank):
    own = libspu.RuntimeConfig(config)
    own.enable_pphlo_profile = rank == 0
    runtimes[rank] = spu.Runtime(libspu.link.create_mem(link, rank), own)
    runtimes[rank].set_var("x", shares[rank])


def both(work):
    threads = [PropagatingThread(target=work, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


both(start)
read = []
for name in ("first", "second"):
    position = log.stat().st_size if log.exists() else 0
    before = time.perf_counter()
    both(lambda rank: runtimes[rank].run(executable))
    total = read_profile(log.read_text()[position:], name, time.perf_counter() - before).total
    read.append([total.bytes_sent, total.bytes_received, total.messages])
print(json.dumps(read), flush=True)
