"""The rules of the backtest benchmark in pandas: rolling windows by group. Prints hits by rule as JSON."""

import json
import sys

import pandas

rows = pandas.read_csv(sys.argv[1], usecols=["TX_DATETIME", "CUSTOMER_ID", "TERMINAL_ID", "TX_AMOUNT"])
rows["cents"] = (rows["TX_AMOUNT"] * 100).round().astype("int64")
rows.index = pandas.to_datetime(rows["TX_DATETIME"])


def rolling(key, column, span):
    """Windows (t - span, t] of each row's key."""
    return rows.groupby(key, sort=False)[column].rolling(span, closed="right")


def different(values):
    return len(set(values))


hits = {
    "r0": (rows["cents"] > 22000).sum(),
    "r1": (rows["cents"] >= 22000).sum(),
    "r2": (rolling("CUSTOMER_ID", "cents", "1h").count() >= 3).sum(),
    "r3": (rolling("CUSTOMER_ID", "cents", "24h").count() >= 8).sum(),
    "r4": (rolling("CUSTOMER_ID", "cents", "24h").sum().round() > 60000).sum(),
    "r5": (rolling("CUSTOMER_ID", "TERMINAL_ID", "24h").apply(different, raw=True) >= 7).sum(),
    "r6": (rolling("TERMINAL_ID", "cents", "7D").sum().round() > 150000).sum(),
    "r7": (rolling("TERMINAL_ID", "cents", "7D").count() >= 15).sum(),
}
print(json.dumps({"rows": len(rows), "hits": {rule: int(n) for rule, n in hits.items()}}))
