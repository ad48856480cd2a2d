"""What reading needs of a schema registry."""

from typing import Protocol

from keytrail.schemas.topics import Topic


class SchemaTexts(Protocol):
    """Gives the text of a schema by its id, as `Registry` does, and raises what that raises."""

    def text_of(self, schema_id: int) -> str: ...


class Schemas(SchemaTexts, Protocol):
    """Takes schemas in, too."""

    def register(self, topic: Topic, text: str) -> int: ...
