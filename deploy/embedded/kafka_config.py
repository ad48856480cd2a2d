"""The embedded broker's configuration files."""

from pathlib import Path

from keytrail.deploy.embedded.ports import HOST
from keytrail.schemas.errors import UsageError

# A single node's settings: what counts replicas is 1, and what is sized for a fleet is small.  The
# cleaner's default buffer alone, 128 MB, would take a quarter of the heap.  A broker that crashed may
# come back only once its session has ended.  Groups' offsets are kept in small segments, so that they are
# compacted and soon loaded: a broker that is elected anew while it still loads them has been seen to give
# out old ones, or none for good (decision 017).  They outlive a stack that lies still for longer than the
# usual week.
_SERVER = """\
# Written by keytrail before each start; changes made here are lost.
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={log_dir}
auto.create.topics.enable=false
message.max.bytes=8388608
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
offsets.topic.segment.bytes=1048576
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
offsets.retention.minutes=5256000
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
log.cleaner.dedupe.buffer.size=16777216
num.network.threads=2
num.io.threads=4
"""

# To stdout: the supervisor keeps each part's output in a file that it rotates by size.  The two
# configuration loggers would print every setting twice at each start, hundreds of lines.
LOG4J = """\
# Written by keytrail before each start; changes made here are lost.
status = warn
shutdownHook = disable
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{ISO8601} %-5p %c{1}: %m%n
rootLogger = info, out
logger.values.name = org.apache.kafka.common.config.AbstractConfig
logger.values.level = warn
logger.broker.name = kafka.server.KafkaConfig
logger.broker.level = warn
logger.state.name = state.change.logger
logger.state.level = warn
"""


def server_properties(port: int, controller_port: int, log_dir: Path) -> str:
    """Raises `UsageError` for a folder that the broker would take for two."""
    if "," in str(log_dir):
        raise UsageError(
            f"Kafka cannot keep its data in {log_dir}: the path has a comma.", "Choose another --data-dir."
        )
    return _SERVER.format(
        host=HOST, port=port, controller_port=controller_port, log_dir=_escape(str(log_dir))
    )


def _escape(text: str) -> str:
    """As a Java properties file, which is Latin-1, spells other characters and backslashes."""
    units = text.replace("\\", "\\\\").encode("utf-16-be")
    codes = [int.from_bytes(units[i : i + 2], "big") for i in range(0, len(units), 2)]
    return "".join(chr(code) if code < 128 else f"\\u{code:04x}" for code in codes)
