"""Prints each event of a topic once, however often it was written: dedupe.py BOOTSTRAP TOPIC."""

import sys


class Seen:
    """The newest id of each partition. Keep it with the results of your work."""

    def __init__(self):
        self.newest = {}

    def is_new(self, topic, partition, event_id):
        """Whether an event is new, and if it is, remembers it. Rows of snapshots have no id and are always taken."""
        if event_id is None:
            return True
        event_id = parse(event_id)
        if event_id <= self.newest.get((topic, partition), ()):
            return False
        self.newest[topic, partition] = event_id
        return True


def parse(event_id):
    """Reads 0/16B3748:0/16B3700:0, or the same with .1 behind it."""
    event_id, _, record = event_id.partition(".")
    commit, change, repeat = event_id.split(":")
    return lsn(commit), lsn(change), int(repeat), int(record or 0)


def lsn(text):
    high, low = text.split("/")
    return int(high, 16) << 32 | int(low, 16)


def main(bootstrap, topic):
    from confluent_kafka import Consumer

    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "dedupe-example", "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([topic])
    seen = Seen()
    while True:
        message = consumer.poll(1.0)
        if message is None or message.error():
            continue
        headers = dict(message.headers() or [])
        event_id = headers.get("tributary.event.id")
        if seen.is_new(message.topic(), message.partition(), event_id and event_id.decode()):
            print((message.value() or b"").decode())


if __name__ == "__main__":
    main(*sys.argv[1:])
