"""The schema registry, as the parts use it: register the committed schemas, look up a writer's schema."""

import threading

from confluent_kafka.schema_registry import Schema as RegistrySchema
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError

from keytrail.schemas.errors import SchemaError, UnavailableError
from keytrail.schemas.settings import HttpSettings
from keytrail.schemas.topics import Topic

_TIMEOUT_S = 5
_REFUSALS = (400, 409, 413, 422)


class Registry:
    """A registry's client.  Thread-safe; each answer is kept, since an id never changes its schema."""

    def __init__(self, settings: HttpSettings) -> None:
        config: dict[str, object] = {"url": settings.url, "timeout": _TIMEOUT_S, "max.retries": 1}
        if settings.user:
            config["basic.auth.user.info"] = f"{settings.user}:{settings.password}"
        if settings.ca_file:
            config["ssl.ca.location"] = settings.ca_file
        self._url = settings.url
        self._client = SchemaRegistryClient(config)
        self._texts: dict[int, str] = {}
        self._lock = threading.Lock()

    def register(self, topic: Topic, text: str) -> int:
        """The id of `text` as the topic's value schema, registered where it is new.

        Raises `SchemaError` where the registry finds it incompatible, `UnavailableError` where no
        registry answers.
        """
        subject = f"{topic.name}-value"
        try:
            schema_id = self._client.register_schema(subject, RegistrySchema(text, "AVRO"))
        except SchemaRegistryError as error:
            if error.http_status_code in _REFUSALS:
                raise SchemaError(
                    f"The registry refuses the schema for {subject}: {error.error_message}",
                    "New fields need defaults, and fields may only go where they had one.",
                ) from error
            raise self._unavailable(error) from error
        except Exception as error:
            raise self._unavailable(error) from error
        with self._lock:
            self._texts[schema_id] = text
        return schema_id

    def text_of(self, schema_id: int) -> str:
        """The schema's text, which may be anything: `avro.parse` says whether it is a schema.

        Raises `SchemaError` for an unknown id, `UnavailableError` for no answer.
        """
        with self._lock:
            if (known := self._texts.get(schema_id)) is not None:
                return known
        try:
            text = self._client.get_schema(schema_id).schema_str or ""
        except SchemaRegistryError as error:
            if error.http_status_code == 404:
                raise SchemaError(
                    f"Schema id {schema_id} is not in the registry.",
                    "Register the producer's schema under this id, then replay the record.",
                ) from error
            raise self._unavailable(error) from error
        except Exception as error:
            raise self._unavailable(error) from error
        with self._lock:
            self._texts[schema_id] = text
        return text

    def _unavailable(self, error: Exception) -> UnavailableError:
        return UnavailableError(
            f"The schema registry at {self._url} does not answer ({type(error).__name__}).",
            "Start it, or set KEYTRAIL_REGISTRY_URL.",
        )
