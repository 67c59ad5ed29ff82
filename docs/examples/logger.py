"""A logger of your own in one file: stores every record once, and tells each device what may be released.

    python logger.py BROKER 1883 mylog records.db

Set `mqtt: {station: mylog}` on the devices. What it needs of CageClock is on the wire: a payload begins with `epoch`,
`seq`, `first_held` and `replayed`; what is stored is answered, retained, at `committed/<name>` as `through` with its
holes.
Needs paho-mqtt 2. It keeps no pictures, and says so: it counts them as accounted for.
"""

import json
import re
import secrets
import sqlite3
import sys

import paho.mqtt.client as mqtt

HEAD = re.compile(
    rb'\{"epoch":"([0-9a-f]{32})","seq":([1-9][0-9]{0,15}),"first_held":[0-9]+,"replayed":(?:true|false),'
)


def open_database(path: str) -> sqlite3.Connection:
    """Return the database; its random name tells the devices when it is another one."""
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")  # what is answered must survive a power cut
    database.execute(
        "CREATE TABLE IF NOT EXISTS records (device, epoch, seq, body, PRIMARY KEY (device, epoch, seq)) WITHOUT ROWID"
    )
    database.execute("CREATE TABLE IF NOT EXISTS name (value)")
    if database.execute("SELECT count(*) FROM name").fetchone() == (0,):
        database.execute("INSERT INTO name VALUES (?)", (secrets.token_hex(16),))
    return database


def committed(database: sqlite3.Connection, device: str) -> bytes:
    """Return the answer to a device: everything 1..through is stored, but for the holes."""
    epochs: dict[str, dict] = {}
    select = "SELECT epoch, seq FROM records WHERE device = ? ORDER BY epoch, seq"
    for epoch, seq in database.execute(select, (device,)):
        known = epochs.setdefault(epoch, {"epoch": epoch, "through": 0, "holes": []})
        if seq > known["through"] + 1:
            if len(known["holes"]) == 64:
                continue  # a hole that cannot be named ends the claim before it
            known["holes"].append([known["through"] + 1, seq - 1])
        known["through"] = seq
    for known in epochs.values():
        known |= {"thumbnails_through": known["through"], "thumbnail_holes": known["holes"]}
    (name,) = database.execute("SELECT value FROM name").fetchone()
    answer = {"schema": "cageclock/committed/1", "station_db": name, "epochs": list(epochs.values())}
    return json.dumps(answer, separators=(",", ":")).encode()


def main(host: str, port: int, name: str, path: str) -> None:
    """Log for ever."""
    database = open_database(path)
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, name, protocol=mqtt.MQTTv5, manual_ack=True)
    client.will_set(f"cageclock/v1/station/{name}/availability", "offline", qos=1, retain=True)

    def on_connect(client: mqtt.Client, *_: object) -> None:
        for suffix in ("reading", "record", "info"):
            client.subscribe(f"cageclock/v1/+/{suffix}", qos=1)
        client.publish(f"cageclock/v1/station/{name}/availability", "online", qos=1, retain=True)

    def on_message(client: mqtt.Client, _: object, message: mqtt.MQTTMessage) -> None:
        _, _, device, suffix = message.topic.split("/")
        head = HEAD.match(message.payload)
        if suffix != "info" and head is not None:
            epoch, seq = head[1].decode(), int(head[2])
            row = (device, epoch, seq, message.payload)
            database.execute("INSERT OR IGNORE INTO records VALUES (?, ?, ?, ?)", row)  # commits by itself
        client.publish(f"cageclock/v1/{device}/committed/{name}", committed(database, device), qos=1, retain=True)
        client.ack(message.mid, message.qos)

    client.on_connect, client.on_message = on_connect, on_message
    client.connect(host, port)
    client.loop_forever(retry_first_connection=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4])
