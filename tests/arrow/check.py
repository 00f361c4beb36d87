"""Leat's Arrow C data interface against pyarrow: record batches in, through Leat's columns, and out again.

    python3 check.py libbridge.so      (made by tests/arrow.sh)
"""
import ctypes
import datetime
import decimal
import random
import sys

import pyarrow as pa

bridge = ctypes.CDLL(sys.argv[1])
passed = failed = 0


class ArrowSchema(ctypes.Structure):
    _fields_ = [("format", ctypes.c_char_p), ("name", ctypes.c_char_p), ("metadata", ctypes.c_char_p),
                ("flags", ctypes.c_int64), ("n_children", ctypes.c_int64), ("children", ctypes.c_void_p),
                ("dictionary", ctypes.c_void_p), ("release", ctypes.c_void_p), ("private_data", ctypes.c_void_p)]


class ArrowArray(ctypes.Structure):
    _fields_ = [("length", ctypes.c_int64), ("null_count", ctypes.c_int64), ("offset", ctypes.c_int64),
                ("n_buffers", ctypes.c_int64), ("n_children", ctypes.c_int64), ("buffers", ctypes.c_void_p),
                ("children", ctypes.c_void_p), ("dictionary", ctypes.c_void_p), ("release", ctypes.c_void_p),
                ("private_data", ctypes.c_void_p)]


def release(struct):
    if struct.release:
        ctypes.CFUNCTYPE(None, ctypes.c_void_p)(struct.release)(ctypes.addressof(struct))


def round_trip(batch):
    """The batch as Leat gives it back, or the message of its refusal."""
    schema, array, schema_out, array_out = ArrowSchema(), ArrowArray(), ArrowSchema(), ArrowArray()
    message = ctypes.create_string_buffer(1024)
    batch._export_to_c(ctypes.addressof(array), ctypes.addressof(schema))
    bridge.bridge_round_trip.restype = ctypes.c_bool
    ok = bridge.bridge_round_trip(ctypes.byref(schema), ctypes.byref(array), ctypes.byref(schema_out),
                                  ctypes.byref(array_out), message)
    release(array)  # what is imported stays the caller's
    release(schema)
    if not ok:
        return message.value.decode()
    return pa.RecordBatch._import_from_c(ctypes.addressof(array_out), ctypes.addressof(schema_out))


def check(holds, what):
    global passed, failed
    if holds:
        passed += 1
    else:
        failed += 1
        print("not so:", what)


def as_leat_has_it(t):
    if pa.types.is_large_string(t) or pa.types.is_string(t):
        return pa.string_view()
    if pa.types.is_large_binary(t) or pa.types.is_binary(t):
        return pa.binary_view()
    if pa.types.is_timestamp(t):
        return pa.timestamp("us", "UTC")
    if pa.types.is_map(t):
        return pa.map_(as_leat_has_it(t.key_type), as_leat_has_it(t.item_type))
    if pa.types.is_list(t):
        return pa.list_(as_leat_has_it(t.value_type))
    if pa.types.is_struct(t):
        return pa.struct([(f.name, as_leat_has_it(f.type)) for f in t])
    return t


def check_same(batch, what):
    out = round_trip(batch)
    if isinstance(out, str):
        check(False, f"{what}: {out}")
        return
    try:
        out.validate(full=True)
    except pa.ArrowInvalid as e:
        check(False, f"{what}: {e}")
        return
    check(out.schema.names == batch.schema.names, f"{what}: names")
    for name, column in zip(batch.schema.names, batch.columns):
        there = out.column(name)
        check(there.type == as_leat_has_it(column.type), f"{what}: {name} is {there.type}, was {column.type}")
        check(there.null_count == column.null_count, f"{what}: {name} has {there.null_count} nulls")
        check(repr(there.to_pylist()) == repr(column.to_pylist()), f"{what}: {name}: values")


rng = random.Random(1)
UTC = datetime.timezone.utc
MAKERS = {
    "bool": (pa.bool_(), lambda: rng.random() < 0.5),
    "i8": (pa.int8(), lambda: rng.randrange(-128, 128)),
    "i16": (pa.int16(), lambda: rng.randrange(-32768, 32768)),
    "i32": (pa.int32(), lambda: rng.randrange(-2**31, 2**31)),
    "i64": (pa.int64(), lambda: rng.randrange(-2**63, 2**63)),
    "f32": (pa.float32(), lambda: rng.choice([0.0, -0.0, 1.5, float("inf"), float("nan")])),
    "f64": (pa.float64(), lambda: rng.choice([0.0, -0.0, 0.1, -float("inf"), float("nan"), 5e-324])),
    "dec": (pa.decimal128(38, 9), lambda: decimal.Decimal(rng.randrange(-10**38 + 1, 10**38)).scaleb(-9, DIGITS)),
    "small_dec": (pa.decimal128(4, 2), lambda: decimal.Decimal(rng.randrange(-9999, 10000)).scaleb(-2)),
    "str": (pa.string(), lambda: text()),
    "large_str": (pa.large_string(), lambda: text()),
    "view": (pa.string_view(), lambda: text()),
    "bin": (pa.binary(), lambda: text().encode()),
    "large_bin": (pa.large_binary(), lambda: text().encode()),
    "bin_view": (pa.binary_view(), lambda: text().encode()),
    "date": (pa.date32(), lambda: datetime.date.fromordinal(rng.randrange(1, 3652059))),
    "time": (pa.timestamp("us", "UTC"),
             lambda: datetime.datetime(2026, 11, 21, tzinfo=UTC) + datetime.timedelta(microseconds=rng.randrange(10**15))),
}
DIGITS = decimal.Context(prec=50)


def text():
    return "".join(rng.choice("aä€ x") for _ in range(rng.choice([0, 1, 3, 5, 12, 13, 40])))


def random_type(depth):
    choice = rng.randrange(20) if depth else 0
    if choice < 12:
        return rng.choice(list(MAKERS.values()))
    if choice < 15:
        t, make = random_type(depth - 1)
        return pa.list_(t), lambda: [maybe(make) for _ in range(rng.randrange(4))]
    if choice < 18:
        fields = [random_type(depth - 1) for _ in range(1 + rng.randrange(3))]
        return (pa.struct([(f"f{i}", t) for i, (t, _) in enumerate(fields)]),
                lambda: {f"f{i}": maybe(make) for i, (_, make) in enumerate(fields)})
    (k, make_key), (v, make) = MAKERS["str"], random_type(depth - 1)
    return pa.map_(k, v), lambda: [(make_key(), maybe(make)) for _ in range(rng.randrange(4))]


def maybe(make):
    return None if rng.random() < 0.2 else make()


def column(t, make, count, has_nulls):
    return pa.array([maybe(make) if has_nulls else make() for _ in range(count)], t)


for count in (0, 1, 9, 5000):
    for has_nulls in (False, True):
        batch = pa.RecordBatch.from_arrays([column(t, make, count, has_nulls) for t, make in MAKERS.values()],
                                           names=list(MAKERS))
        check_same(batch, f"{count} rows of every scalar type, nulls: {has_nulls}")
        check_same(batch.slice(count // 3, count // 2), f"a slice of {count} rows, nulls: {has_nulls}")

for n in range(60):
    fields = [random_type(3) for _ in range(1 + rng.randrange(4))]
    batch = pa.RecordBatch.from_arrays([column(t, make, 200, True) for t, make in fields],
                                       names=[f"c{i}" for i in range(len(fields))])
    check_same(batch, f"random types {n}: {batch.schema}")
    check_same(batch.slice(7, 100), f"a slice of random types {n}: {batch.schema}")

for values, message in ((pa.array([1], pa.uint32()), "there is no type for the format 'I'"),
                        (pa.array([1], pa.timestamp("ns")), "there is no type for the format 'tsn:'"),
                        (pa.array(["a"]).dictionary_encode(), "it is dictionary-encoded"),
                        (pa.array([decimal.Decimal(1)], pa.decimal256(50, 0)), "there is no type for the format 'd:50,0,256'"),
                        (pa.nulls(1), "there is no type for the format 'n'")):
    found = round_trip(pa.RecordBatch.from_arrays([values], names=["x"]))
    check(found == f"Arrow: column 'x': {message}", f"{values.type}: {found}")

check(pa.total_allocated_bytes() < 100 << 20, "what was exported to Leat is released")
print(f"{passed} passed, {failed} failed")
sys.exit(failed != 0)
