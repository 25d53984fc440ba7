"""Spark writes Parquet files as it would have left them, one for each that is named on standard input: `spark_files.py FOLDER`.

Runs in the environment of pyspark. What nobody says is as Spark has it by default, timestamps as INT96 included.
"""

from __future__ import annotations

import sys

from pyspark.sql import SparkSession

MIB = 1024 * 1024
ONE_FILE_BYTES = 64 * MIB
"""No file of the bench that is read here is as large, and two of them never make one task."""
SETTINGS = {
    "spark.driver.memory": "2g",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.extraJavaOptions": "-Duser.timezone=UTC",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.files.maxPartitionBytes": str(ONE_FILE_BYTES),
    "spark.sql.files.openCostInBytes": str(ONE_FILE_BYTES),
}


def main(folder: str) -> None:
    """See the module."""
    builder = SparkSession.builder.master("local[2]").appName("bench")
    for key, value in SETTINGS.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    spark.read.parquet(*sys.stdin.read().split("\n")).write.parquet(folder)
    spark.stop()


if __name__ == "__main__":
    main(sys.argv[1])
