"""The worker's Kafka connection takes librdkafka's SASL and TLS properties, as every other client does."""

import ssl

import faust
import pytest
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth

from keytrail.schemas.errors import UsageError
from keytrail.stream.worker import credentials


def test_a_plain_connection_needs_none() -> None:
    assert credentials({}) is None
    assert credentials({"security.protocol": "plaintext", "client.id": "x"}) is None


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_sasl_over_tls_reaches_the_client(mechanism: str) -> None:
    found = credentials(
        {
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": mechanism,
            "sasl.username": "audit",
            "sasl.password": "s3cret",
        }
    )
    assert isinstance(found, faust.SASLCredentials)
    auth = credentials_to_aiokafka_auth(found, None)
    assert auth["security_protocol"] == "SASL_SSL"
    assert (auth["sasl_mechanism"], auth["sasl_plain_username"], auth["sasl_plain_password"]) == (
        mechanism,
        "audit",
        "s3cret",
    )
    assert isinstance(auth["ssl_context"], ssl.SSLContext)


def test_sasl_without_tls_and_tls_without_sasl_reach_the_client() -> None:
    plain = credentials({"security.protocol": "SASL_PLAINTEXT", "sasl.username": "a", "sasl.password": "b"})
    assert credentials_to_aiokafka_auth(plain, None)["security_protocol"] == "SASL_PLAINTEXT"
    tls = credentials({"security.protocol": "ssl"})
    assert credentials_to_aiokafka_auth(tls, None)["security_protocol"] == "SSL"


def test_a_mechanism_the_client_cannot_do_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="OAUTHBEARER"):
        credentials({"security.protocol": "SASL_SSL", "sasl.mechanism": "OAUTHBEARER"})
