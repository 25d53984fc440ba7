"""A Spark session with Delta that answers statements: one JSON object a line in, one a line out. Runs in the environment of pyspark.

    {"id": 1, "sql": "select 1"}          -> {"id": 1, "rows": [["1"]], "columns": ["1"]} or {"id": 1, "error": "...", "kind": "..."}

Statements run each in a thread, so that one can be under way while others are asked. Every value comes back as text or null, complex
ones as JSON, so that nothing is lost between Java and Python. Knows nothing of the compactor.

    python server.py JARS_FOLDER WORK_FOLDER
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import ArrayType, BinaryType, MapType, StructType, VariantType

# The suite is thousands of tiny jobs: what pays is little compilation, and few and cheap processes (Hadoop starts one for every chmod).
QUICK = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Djdk.lang.Process.launchMechanism=VFORK"
WAIT_STEPS, WAIT_S = 1200, 0.05
_lock = threading.Lock()


def session(jars: Path, work: Path) -> SparkSession:
    """Two cores, two gigabytes, no user interface, everything in UTC and below `work`."""
    settings = {
        "spark.jars": ",".join(map(str, sorted(jars.glob("*.jar")))),
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.driver.memory": "2g",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.extraJavaOptions": f"-Dderby.system.home={work} -Duser.timezone=UTC {QUICK}",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "1",
        "spark.sql.sources.parallelPartitionDiscovery.parallelism": "2",
        "spark.sql.adaptive.enabled": "false",
        "spark.rdd.compress": "false",
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
        "spark.sql.warehouse.dir": str(work / "warehouse"),
        "spark.local.dir": str(work / "local"),
        "spark.databricks.delta.retentionDurationCheck.enabled": "false",
        "spark.databricks.delta.snapshotPartitions": "1",
        "spark.databricks.delta.vacuum.parallelDelete.enabled": "false",
    }
    builder = SparkSession.builder.master("local[2]").appName("conformance")
    for key, value in settings.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    spark.udf.register("meet", meet, "boolean")
    return spark


def meet(place: str) -> bool:
    """True, once there is a file `place`.go; `place`.begun tells that it waits. Holds a statement between its reading and its commit."""
    Path(place + ".begun").touch()
    for _ in range(WAIT_STEPS):
        if Path(place + ".go").exists():
            return True
        time.sleep(WAIT_S)
    raise TimeoutError(place)


def as_text(frame: DataFrame) -> DataFrame:
    """The same rows with every column as text."""
    columns = []
    for field in frame.schema.fields:
        name = "`" + field.name.replace("`", "``") + "`"
        if isinstance(field.dataType, StructType | ArrayType | MapType | VariantType):
            columns.append(f"to_json({name}) as {name}")
        elif isinstance(field.dataType, BinaryType):
            columns.append(f"hex({name}) as {name}")
        else:
            columns.append(f"cast({name} as string) as {name}")
    return frame.selectExpr(*columns) if columns else frame


def answer(spark: SparkSession, request: dict[str, Any]) -> None:
    """Run one statement and print what it gave."""
    told: dict[str, Any] = {"id": request["id"]}
    try:
        frame = spark.sql(request["sql"])
        told["columns"] = frame.columns
        told["rows"] = [list(row) for row in as_text(frame).collect()]
    except Exception as error:  # noqa: BLE001 - told to whoever asked
        told |= {"error": str(error)[:4000], "kind": type(error).__name__}
    with _lock:
        print(json.dumps(told), flush=True)


def main() -> None:
    spark = session(Path(sys.argv[1]), Path(sys.argv[2]))
    print(json.dumps({"id": 0, "version": spark.version}), flush=True)
    threads = []
    for line in sys.stdin:
        threads.append(threading.Thread(target=answer, args=(spark, json.loads(line))))
        threads[-1].start()
    for thread in threads:
        thread.join()
    spark.stop()


if __name__ == "__main__":
    main()
