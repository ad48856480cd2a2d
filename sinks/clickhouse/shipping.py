"""A sealed block's way into its table: sorts the records by schema, inserts, sets aside what is left."""

import logging

from confluent_kafka import Message

from keytrail.schemas import wire
from keytrail.schemas.errors import SchemaError
from keytrail.schemas.registry import Registry
from keytrail.sinks.clickhouse.claims import Claim
from keytrail.sinks.clickhouse.container import Writer, writer
from keytrail.sinks.clickhouse.delivery import Rows
from keytrail.sinks.clickhouse.incarnations import Incarnations
from keytrail.sinks.clickhouse.inserts import Block, Delivered, Inserts
from keytrail.sinks.clickhouse.lanes import Sealed
from keytrail.sinks.clickhouse.patience import Patience
from keytrail.sinks.clickhouse.set_aside import Reason, SetAside
from keytrail.sinks.clickhouse.table_columns import TableColumns
from keytrail.sinks.clickhouse.tables import Table

_log = logging.getLogger("keytrail.sink")


class Shipping:
    """Ships blocks.  Thread-safe."""

    def __init__(
        self,
        registry: Registry,
        incarnations: Incarnations,
        inserts: Inserts,
        set_aside: SetAside,
        columns: TableColumns,
        patience: Patience,
    ) -> None:
        self._registry = registry
        self._incarnations = incarnations
        self._inserts = inserts
        self._set_aside = set_aside
        self._columns = columns
        self._patience = patience
        self._told: set[tuple[str, frozenset[str]]] = set()

    def ship(self, table: Table, claim: Claim, sealed: Sealed) -> Delivered:
        """When it returns, every record of the block is a row or a dead letter.

        Waits for Kafka, the registry and ClickHouse as long as it takes.  Raises `ReopenError`,
        `StoppedError`, and `RefusedError` for what trying again does not mend.
        """
        topic = table.topic.name
        dead: dict[int, tuple[Message, Reason]] = {}
        by_schema = _sort(table, sealed, dead)
        groups = [
            Rows(written, [_offset(m) for m in messages], [_datum(m) for m in messages])
            for schema_id, messages in by_schema.items()
            if (written := self._writer(table, schema_id, messages, dead))
        ]
        self._patience.until_answered(
            topic, lambda: self._incarnations.confirm(topic, claim.incarnation, sealed.read_at)
        )
        delivered = self._inserts.deliver(Block(table.name, claim, sealed.first, groups))
        by_offset = {_offset(m): m for m in sealed.messages} if delivered.rejected else {}
        for row in delivered.rejected:
            dead[row.offset] = (by_offset[row.offset], Reason(row.reason, row.detail))
        if dead:
            self._patience.until_answered(topic, lambda: self._set_aside.put(dead))
        return delivered

    def _writer(
        self, table: Table, schema_id: int, messages: list[Message], dead: dict[int, tuple[Message, Reason]]
    ) -> Writer | None:
        try:
            text = self._patience.until_answered(table.topic.name, lambda: self._registry.text_of(schema_id))
            written = writer(text)
        except SchemaError as error:
            dead.update({_offset(m): (m, Reason("unknown_schema", error.message)) for m in messages})
            return None
        unknown = frozenset(written.columns) - set(self._columns.of(table.name))
        if unknown:
            self._patience.until_answered(table.topic.name, self._columns.look_again)
            unknown -= set(self._columns.of(table.name))
        if unknown and (table.name, unknown) not in self._told:
            self._told.add((table.name, unknown))
            _log.warning(
                "table %s has no column for %s, which schema %d has: only the topic holds it",
                *(table.name, ", ".join(sorted(unknown)), schema_id),
            )
        return written


def _sort(table: Table, sealed: Sealed, dead: dict[int, tuple[Message, Reason]]) -> dict[int, list[Message]]:
    """The records by their schema's id; what has none is dead, or a deletion where the table knows these."""
    by_schema: dict[int, list[Message]] = {}
    for message in sealed.messages:
        value = message.value()
        schema_id = None if value is None else wire.schema_id_of(value)
        if schema_id is not None:
            by_schema.setdefault(schema_id, []).append(message)
        elif value is not None:
            dead[_offset(message)] = (message, Reason("bad_magic", "The value has no wire-format header."))
        elif not table.deletes:
            dead[_offset(message)] = (message, Reason("null_value", "The record has no value."))
    return by_schema


def _offset(message: Message) -> int:
    return -1 if (offset := message.offset()) is None else offset


def _datum(message: Message) -> bytes:
    return (message.value() or b"")[wire.HEADER_LENGTH :]
