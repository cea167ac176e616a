"""The rules of the backtest benchmark as a plain script: a deque for each key and window. Prints hits by rule as JSON."""

import csv
import json
import sys
from collections import Counter, defaultdict, deque
from datetime import datetime

HOUR = 3600


class Window:
    """The events of one key with t - span < time <= t."""

    __slots__ = ("events", "span", "total", "values")

    def __init__(self, span):
        self.events, self.span, self.total, self.values = deque(), span, 0, Counter()

    def add(self, time, cents, value):
        self.events.append((time, cents, value))
        self.total += cents
        self.values[value] += 1
        while self.events[0][0] <= time - self.span:
            _, cents, value = self.events.popleft()
            self.total -= cents
            self.values[value] -= 1
            if not self.values[value]:
                del self.values[value]
        return self


def main(path):
    hour = defaultdict(lambda: Window(HOUR))
    day = defaultdict(lambda: Window(24 * HOUR))
    week = defaultdict(lambda: Window(7 * 24 * HOUR))
    hits = Counter({f"r{rule}": 0 for rule in range(8)})
    rows = 0
    with open(path, newline="") as file:
        for row in csv.DictReader(file):
            rows += 1
            time = datetime.fromisoformat(row["TX_DATETIME"]).timestamp()
            cents = round(float(row["TX_AMOUNT"]) * 100)
            customer, terminal = row["CUSTOMER_ID"], row["TERMINAL_ID"]
            in_hour = hour[customer].add(time, cents, terminal)
            in_day = day[customer].add(time, cents, terminal)
            in_week = week[terminal].add(time, cents, customer)
            hits["r0"] += cents > 22000
            hits["r1"] += cents >= 22000
            hits["r2"] += len(in_hour.events) >= 3
            hits["r3"] += len(in_day.events) >= 8
            hits["r4"] += in_day.total > 60000
            hits["r5"] += len(in_day.values) >= 7
            hits["r6"] += in_week.total > 150000
            hits["r7"] += len(in_week.events) >= 15
    print(json.dumps({"rows": rows, "hits": hits}))


main(sys.argv[1])
