"""Is a part ready?  Each check answers at once or within a second or two, and never raises."""

import http.client
import socket
import urllib.parse

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

_TIMEOUT_S = 2.0


def kafka_answers(bootstrap: str) -> bool:
    """Whether the broker is registered and, after a crash, leads its partitions again.

    The port alone says less, but a closed one says enough: it spares a client that would retry and log.
    """
    if not _listens(bootstrap):
        return False
    client = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0, "socket.timeout.ms": 2000})
    try:
        cluster = client.list_topics(timeout=_TIMEOUT_S)
        partitions = [p for topic in cluster.topics.values() for p in topic.partitions.values()]
        return bool(cluster.brokers) and all(partition.leader >= 0 for partition in partitions)
    except KafkaException:
        return False


def http_answers(url: str) -> bool:
    """Whether `GET url` is answered with 200."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", parts.path or "/")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=_TIMEOUT_S).close()
    except OSError:
        return False
    return True
