#!/usr/bin/env python3
"""Small parquet files as datasets and pyarrow write them, and what pyarrow reads in them.

Writes *.parquet and rows.json, {"versions", "files": {name: rows}}, into a folder. Nulls within objects are left out of the
rows, as TRL leaves them out: a column of structs gives every struct the fields of all. Columns whose values JSON does not have
(dates, decimals, bytes) are in the files only.

    python scripts/golden/data_files.py internal/data/records/testdata
"""
import datetime
import decimal
import hashlib
import json
import pathlib
import sys

import datasets
import pyarrow as pa
import pyarrow.parquet as pq

MESSAGES = [
    {"id": 1, "messages": [{"role": "user", "content": "What is 2 + 2?"}, {"role": "assistant", "content": "4"}], "tools": None},
    {"id": 2, "messages": [
        {"role": "user", "content": "Weather in Oslo?"},
        {"role": "assistant", "content": None, "tool_calls": [{"type": "function", "function": {"name": "weather", "arguments": "{\"city\": \"Oslo\"}"}}]},
        {"role": "tool", "content": "rain", "name": "weather"},
        {"role": "assistant", "content": "It rains. Ünïcode 日本 😀"}],
     "tools": json.dumps([{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}])},
    {"id": 3, "messages": [], "tools": None},
]


class Whole(dict):
    """A map, whose nulls are values of their own."""


def without_nulls(v, top=True):
    if isinstance(v, Whole):
        return v
    if isinstance(v, dict):
        if "map" in v and v["map"] is not None:
            v = {**v, "map": Whole(v["map"])}
        return {k: without_nulls(x, False) for k, x in v.items() if top or x is not None}
    if isinstance(v, list):
        return [without_nulls(x, False) for x in v]
    return v


def nested():
    """A table of every shape that lists, structs and maps take within each other."""
    return pa.table({
        "lists": pa.array([[[1, 2], []], None, [], [None, [3, None]]], pa.list_(pa.list_(pa.int32()))),
        "structs": pa.array([[{"a": "x", "b": [1.5]}, {"a": None, "b": None}], [{"a": "y", "b": []}], None, []],
                            pa.list_(pa.struct([("a", pa.string()), ("b", pa.list_(pa.float64()))]))),
        "columns": pa.array([{"from": ["human", "gpt"], "value": ["Q", "A"]}, {"from": [], "value": []}, None, {"from": ["gpt"], "value": [None]}],
                            pa.struct([("from", pa.list_(pa.string())), ("value", pa.list_(pa.string()))])),
        "map": pa.array([[("k", 1), ("l", None)], [], None, [("日", 3)]], pa.map_(pa.string(), pa.int64())),
        "deep": pa.array([{"x": {"y": [{"z": True}]}}, None, {"x": None}, {"x": {"y": None}}],
                         pa.struct([("x", pa.struct([("y", pa.list_(pa.struct([("z", pa.bool_())])))]))])),
        "fixed": pa.array([[1, 2], [3, 4], None, [5, 6]], pa.list_(pa.int16(), 2)),
        "large": pa.array(["a", "", None, "\u0000\"\\<&>"], pa.large_string()),
    })


def scalars():
    n = 5
    cols = {
        "int8": pa.array([-128, 127, 0, None, 1], pa.int8()), "uint8": pa.array([255, 0, 1, None, 2], pa.uint8()),
        "int32": pa.array([-2**31, 2**31 - 1, 0, None, 1], pa.int32()), "uint32": pa.array([2**32 - 1, 0, 1, None, 2], pa.uint32()),
        "int64": pa.array([-2**63, 2**63 - 1, 0, None, 1], pa.int64()), "uint64": pa.array([2**64 - 1, 0, 1, None, 2], pa.uint64()),
        "float32": pa.array([0.5, -1.0, 3e10, None, 1e-20], pa.float32()), "float64": pa.array([0.1, 2.0, -1e300, None, 5e-324], pa.float64()),
        "bool": pa.array([True, False, None, True, False]), "string": pa.array(["a", "é", "", None, "a" * 300]),
        "category": pa.array(["x", "y", "x", None, "y"]).dictionary_encode(), "nothing": pa.nulls(n),
    }
    other = {
        "date": pa.array([datetime.date(2024, 1, 2)] * n), "time": pa.array([datetime.datetime(2024, 1, 2, 3, 4, 5)] * n),
        "decimal": pa.array([decimal.Decimal("1.25")] * n), "bytes": pa.array([b"\xff\xfe\x00"] * n), "half": pa.array([b"ab"] * n, pa.binary(2)),
    }
    return pa.table({**cols, **other}), list(cols)


def main(out):
    out.mkdir(parents=True, exist_ok=True)
    files = {}

    def put(name, table, keep=None, **how):
        pq.write_table(table, out / name, **how)
        files[name] = [without_nulls(r) for r in table.select(keep or table.column_names).to_pylist()]

    features = datasets.Features({"id": datasets.Value("int64"), "tools": datasets.Value("string"), "messages": [{
        "role": datasets.Value("string"), "content": datasets.Value("string"), "name": datasets.Value("string"),
        "tool_calls": [{"type": datasets.Value("string"), "function": {"name": datasets.Value("string"), "arguments": datasets.Value("string")}}]}]})
    fill = lambda m: {k: m.get(k) for k in ("role", "content", "name", "tool_calls")}
    ds = datasets.Dataset.from_list([{**r, "messages": [fill(m) for m in r["messages"]]} for r in MESSAGES], features=features)
    ds.to_parquet(out / "messages.parquet")
    files["messages.parquet"] = [without_nulls(r) for r in pq.read_table(out / "messages.parquet").to_pylist()]
    put("nested.parquet", nested(), compression="zstd", row_group_size=3)
    table, keep = scalars()
    put("scalars.parquet", table, keep, compression="gzip", data_page_version="2.0", row_group_size=2)
    put("plain.parquet", pa.table({"text": [f"line {i}" for i in range(200)], "n": list(range(200))}), compression="none", use_dictionary=False, data_page_size=64)
    ids = [[1, 2, 3], [4, 5], [6]]
    put("tokenized.parquet", pa.table({"input_ids": pa.array(ids, pa.list_(pa.int32())), "labels": pa.array([[-100, 2, 3], [-100, 5], [6]], pa.list_(pa.int64())),
                                       "attention_mask": pa.array([[1] * len(x) for x in ids], pa.list_(pa.int8()))}), compression="brotli")
    put("empty.parquet", pa.table({"text": pa.array([], pa.string())}), compression="lz4")
    rows = {"script": hashlib.sha256(pathlib.Path(__file__).read_bytes()).hexdigest()[:16], "versions": {"pyarrow": pa.__version__, "datasets": datasets.__version__}, "files": files}
    (out / "rows.json").write_text(json.dumps(rows, ensure_ascii=False, separators=(",", ":")).replace("},{", "},\n{") + "\n")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
