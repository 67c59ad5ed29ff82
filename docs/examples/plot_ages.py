"""Subscribe and plot with pandas: the newest ages of all cages, as long as you like.

    python plot_ages.py BROKER 1883 600 ages.png

Listens for so many seconds and draws one line an animal or cage. Needs paho-mqtt 2, pandas and matplotlib. The log
stream may bring a reading twice: it is named by device, epoch and number, and counted once.
"""

import json
import sys
import time

import matplotlib
import paho.mqtt.client as mqtt
import pandas as pd

matplotlib.use("Agg")


def listen(host: str, port: int, seconds: float) -> pd.DataFrame:
    """Return one row an accepted estimate: device, cage, subject, captured_at, age_days."""
    readings: dict[tuple[str, str, int], dict] = {}

    def on_message(_client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        reading = json.loads(message.payload)
        readings[reading["device_id"], reading["epoch"], reading["seq"]] = reading

    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    client.on_connect = lambda client, *_: client.subscribe("cageclock/v1/+/reading", qos=1)
    client.on_message = on_message
    client.connect(host, port)
    client.loop_start()
    time.sleep(seconds)
    client.loop_stop()
    rows = [
        {
            "device": reading["device_id"],
            "cage": reading["cage_id"],
            "subject": animal["subject"],
            "captured_at": reading["captured_at"],
            "age_days": animal["age_days"],
        }
        for reading in readings.values()
        for animal in reading["animals"]
        if animal["accepted"]
    ]
    return pd.DataFrame(rows, columns=["device", "cage", "subject", "captured_at", "age_days"])


def main(host: str, port: int, seconds: float, picture: str) -> None:
    """Listen, draw, and say what was seen."""
    table = listen(host, port, seconds)
    table["captured_at"] = pd.to_datetime(table["captured_at"], utc=True)
    table["name"] = table["subject"].fillna("cage " + table["cage"].astype(str))
    if table.empty:
        sys.exit(f"no accepted estimate within {seconds:g} s")
    weeks = table.pivot_table(index="captured_at", columns="name", values="age_days") / 7
    weeks.plot(style=".-", ylabel="predicted age, weeks", xlabel="").figure.savefig(picture)
    print(table.groupby("name")["age_days"].describe()[["count", "50%"]])


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4])
