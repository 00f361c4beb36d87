#!/usr/bin/env python3
"""Compares streams with those of a real Spark, batch by batch, on random input.

    make spark SPARK_HOME=DIR [SEED=n]        DIR: a Spark 3 or 4 with Scala 2.13, e.g. of the package pyspark; JDK 17

Spark runs Streams.scala in real time, two minutes for 14 batches of a second; streams.c is Leat's side. Rows are
compared as sets. What is known to differ is in KNOWN, with the reason.
"""
import glob
import os
import random
import re
import subprocess
import sys
import tempfile

BATCHES = 14
WORDS = "abcdef"
KNOWN = re.compile(  # a slide beyond the window: Spark's inverse form takes in, and keeps, rows between the windows
    r"(with inverse|with filter|countByWindow|countByValueAndWindow|reduceByWindow with inverse) 2 3")


def write_input(path, seed):
    rng = random.Random(seed)
    with open(path, "w") as out:
        for which in (1, 2):
            for _ in range(BATCHES):
                count = 0 if rng.random() < 0.25 else rng.randrange(7)
                rows = [WORDS[rng.randrange(1 + rng.randrange(len(WORDS)))] for _ in range(count)]
                out.write(f"{which}|{','.join(rows) or '-'}\n")


def batches(text):
    """{(stream, number): rows}, rows in one spelling."""
    found = {}
    for line in text.splitlines():
        name, number, rows = line.split("|", 2)
        rows = re.sub(r"Some\((\d+)\)", r"\1", rows.replace(" ", "").replace("'", ""))
        rows = re.sub(r"(?:Seq|CompactBuffer|List|ArrayBuffer|ArraySeq)\(([^()]*)\)",
                      lambda m: "[" + ",".join(sorted(m.group(1).split(","))) + "]", rows)
        rows = re.sub(r"\[([^\[\]]*)\]", lambda m: "[" + ",".join(sorted(m.group(1).split(","))) + "]", rows)
        found[name, int(number)] = sorted(row for row in rows.split(";") if row)
    return found


def run_spark(home, directory, source):
    jars = os.path.join(home, "jars", "*")
    classes = os.path.join(directory, "classes")
    os.mkdir(classes)
    subprocess.run(["java", "-cp", jars, "scala.tools.nsc.Main", "-nowarn", "-usejavacp", "-d", classes, source], check=True)
    jar = os.path.join(directory, "streams.jar")
    subprocess.run(["jar", "cf", jar, "-C", classes, "."], check=True)
    run = subprocess.run([os.path.join(home, "bin", "spark-submit"), "--driver-memory", "1g", "--class", "leat.Streams", jar,
                          os.path.join(directory, "input"), os.path.join(directory, "spark")],
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True,
                         env=dict(os.environ, SPARK_HOME=home))
    return run.stdout


def main():
    program, seed = sys.argv[1], int(sys.argv[2])
    home = os.environ.get("SPARK_HOME", "")
    if not glob.glob(os.path.join(home, "jars", "spark-streaming_*.jar")):
        sys.exit("make spark SPARK_HOME=DIR: there is no Spark in '%s'" % home)
    with tempfile.TemporaryDirectory() as directory:
        write_input(os.path.join(directory, "input"), seed)
        ours = batches(subprocess.run([program, os.path.join(directory, "input"), os.path.join(directory, "leat")],
                                      stdout=subprocess.PIPE, text=True, check=True).stdout)
        spark = batches(run_spark(home, directory, os.path.join(os.path.dirname(__file__), "Streams.scala")))
    same = known = different = 0
    for batch in sorted(set(ours) | set(spark)):
        if ours.get(batch) == spark.get(batch):
            same += 1
        elif KNOWN.match(batch[0]):
            known += 1
        else:
            different += 1
            print(f"{batch[0]}, batch {batch[1]}:\n    Spark {spark.get(batch)}\n    Leat  {ours.get(batch)}")
    print(f"seed {seed}: {len(set(name for name, _ in spark))} streams, {same} batches the same, "
          f"{known} as known, {different} different")
    sys.exit(1 if different else 0)


main()
