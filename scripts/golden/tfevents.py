"""Golden records of TensorBoard's event files, as TensorBoard's own library writes them: protobuf messages and their framing.

Run:  python scripts/golden/tfevents.py testdata/tfevents.json            (needs tensorboard)
"""

import hashlib
import io
import json
import pathlib
import sys

import google.protobuf
import tensorboard.version
from tensorboard.compat.proto.event_pb2 import Event, SessionLog, SourceMetadata
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

SECOND = 1_700_000_000.25
SCALARS = [
    (0, [("eval/loss", 3.25)]),
    (1, [("train/loss", 2.5), ("train/learning_rate", 5e-4), ("train/grad_norm", 0.0)]),
    (300, [("train/loss", float("inf")), ("train/tokens_per_second", 1234.5)]),
    (2**31, [("train/loss", -1e-30)]),
    (7, [("größe/損失", 1.0)]),
    (8, [("x" * 200, 1.0)]),
]


class Kept(io.BytesIO):
    def close(self):  # the writer closes its file
        pass


def framed(event):
    out = Kept()
    writer = RecordWriter(out)
    writer.write(event.SerializeToString(deterministic=True))
    writer.flush()
    return out.getvalue().hex()


def main():
    cases = [
        {"kind": "version", "record": framed(Event(wall_time=SECOND, file_version="brain.Event:2", source_metadata=SourceMetadata(writer="lomo")))},
        {"kind": "restart", "step": 51, "record": framed(Event(wall_time=SECOND, step=51, session_log=SessionLog(status=SessionLog.START)))},
    ]
    for step, values in SCALARS:
        summary = Summary(value=[Summary.Value(tag=tag, simple_value=value) for tag, value in values])
        cases.append({"kind": "scalars", "step": step, "tags": [t for t, _ in values], "values": [str(v) for _, v in values],
                      "record": framed(Event(wall_time=SECOND, step=step, summary=summary))})
    made = {
        "script_sha256": hashlib.sha256(pathlib.Path(__file__).read_bytes()).hexdigest(),
        "versions": {"tensorboard": tensorboard.version.VERSION, "protobuf": google.protobuf.__version__},
        "seconds": SECOND,
        "cases": cases,
    }
    pathlib.Path(sys.argv[1]).write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
