package w1;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.CountDownLatch;
import java.util.stream.Collectors;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;
import org.apache.avro.util.Utf8;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;

/**
 * W1 in Kafka Streams, one thread, roles in a map in place of a store.  Arguments: the guarantee
 * (at_least_once or exactly_once_v2) and the files with the two Avro schemas.
 */
public final class W1 {
    private static final byte[] HEADER = {0, 0, 0, 0, 1};
    private static final int SPRAWL_ROLES = 10;
    private static final int EVENTS = Integer.parseInt(System.getenv("W1_EVENTS"));
    private static final CountDownLatch DONE = new CountDownLatch(1);

    private record Key(Utf8 owner, Utf8 kind, Utf8 status, Set<Utf8> scopes) {}

    /** Decodes, judges and encodes; what it decodes into and encodes from is used again for each event. */
    private static final class Enricher {
        private final GenericDatumReader<GenericRecord> reader;
        private final GenericDatumWriter<GenericRecord> writer;
        private final GenericRecord enriched;
        private final int fields;
        private final int keyId;
        private final int action;
        private final int subject;
        private final int role;
        private final Map<Utf8, Key> keys = keys();
        private final Map<Utf8, Set<Utf8>> roles = new HashMap<>();
        private final Map<Utf8, Integer> counts = new HashMap<>();
        private final List<Utf8> found = new ArrayList<>();
        private final ByteArrayOutputStream bytes = new ByteArrayOutputStream(1024);
        private BinaryDecoder decoder;
        private BinaryEncoder encoder;
        private GenericRecord event;
        private int events;
        private long began;
        private long cpu;

        private Enricher(Schema in, Schema out) {
            reader = new GenericDatumReader<>(in);
            writer = new GenericDatumWriter<>(out);
            enriched = new GenericData.Record(out);
            fields = in.getFields().size();
            keyId = in.getField("key_id").pos();
            action = in.getField("action").pos();
            subject = in.getField("subject").pos();
            role = in.getField("role").pos();
        }

        private byte[] enrich(byte[] value) {
            if (events == 0) {
                began = System.nanoTime();
                cpu = cpuNanos();
            }
            try {
                int size = value.length - HEADER.length;
                decoder = DecoderFactory.get().binaryDecoder(value, HEADER.length, size, decoder);
                event = reader.read(event, decoder);
                judge();
                bytes.reset();
                bytes.write(HEADER);
                encoder = EncoderFactory.get().binaryEncoder(bytes, encoder);
                writer.write(enriched, encoder);
                encoder.flush();
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
            events++;
            return bytes.toByteArray();
        }

        private void judge() {
            found.clear();
            Key key = keys.get((Utf8) event.get(keyId));
            Utf8 name = (Utf8) event.get(role);
            boolean grants = event.get(action).toString().equals("GRANT");
            if (key == null) {
                found.add(new Utf8("unknown key"));
            } else {
                if (key.status.toString().equals("expired")) {
                    found.add(new Utf8("expired key"));
                }
                if (grants && !key.scopes.contains(name)) {
                    found.add(new Utf8("role out of scope"));
                }
            }
            Utf8 whose = (Utf8) event.get(subject);
            Set<Utf8> held = roles.get(whose);
            if (grants) {
                if (held == null) {
                    held = new HashSet<>();
                    roles.put(new Utf8(whose), held);
                }
                if (!held.contains(name)) {
                    held.add(new Utf8(name));
                }
                if (held.size() > SPRAWL_ROLES) {
                    found.add(new Utf8("role sprawl"));
                }
            } else if (held != null && event.get(action).toString().equals("REVOKE")) {
                held.remove(name);
            }
            for (int i = 0; i < fields; i++) {
                enriched.put(i, event.get(i));
            }
            enriched.put(fields, key == null ? null : key.owner);
            enriched.put(fields + 1, key == null ? null : key.kind);
            enriched.put(fields + 2, key == null ? null : key.status);
            enriched.put(fields + 3, found);
            for (Utf8 one : found) {
                counts.merge(one, 1, Integer::sum);
            }
        }
    }

    private static final class Enrich implements Processor<byte[], byte[], byte[], byte[]> {
        private final Enricher enricher;
        private ProcessorContext<byte[], byte[]> context;

        private Enrich(Enricher enricher) {
            this.enricher = enricher;
        }

        @Override
        public void init(ProcessorContext<byte[], byte[]> given) {
            context = given;
        }

        @Override
        public void process(Record<byte[], byte[]> record) {
            context.forward(record.withValue(enricher.enrich(record.value())));
            if (enricher.events == EVENTS) {
                context.commit();
                DONE.countDown();
            }
        }
    }

    public static void main(String[] args) throws Exception {
        String guarantee = args[0];
        String group = System.getenv("W1_SINK");
        Schema in = new Schema.Parser().parse(Path.of(args[1]).toFile());
        Schema out = new Schema.Parser().parse(Path.of(args[2]).toFile());
        Enricher enricher = new Enricher(in, out);  // one for all tasks, which share the one thread
        Topology topology = new Topology()
            .addSource("events", new ByteArrayDeserializer(), new ByteArrayDeserializer(), System.getenv("W1_SOURCE"))
            .addProcessor("enrich", () -> new Enrich(enricher), "events")
            .addSink("enriched", group, new ByteArraySerializer(), new ByteArraySerializer(), "enrich");
        Properties admin = new Properties();
        admin.put("bootstrap.servers", System.getenv("W1_KAFKA"));
        KafkaStreams streams = new KafkaStreams(topology, settings(group, guarantee));
        try (Admin client = Admin.create(admin)) {
            streams.start();
            DONE.await();
            while (committed(client, group) < EVENTS) {
                Thread.sleep(10);
            }
            report("Kafka Streams, " + guarantee.replace("_v2", "").replace('_', ' '), enricher);
        }
        Runtime.getRuntime().halt(0);
    }

    private static Properties settings(String group, String guarantee) throws IOException {
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, group);
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, System.getenv("W1_KAFKA"));
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, guarantee);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 1000);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, Files.createTempDirectory("w1-streams").toString());
        settings.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");
        settings.put(StreamsConfig.consumerPrefix("max.poll.records"), 5000);
        settings.put(StreamsConfig.producerPrefix("compression.type"), "lz4");
        settings.put(StreamsConfig.producerPrefix("linger.ms"), 20);
        settings.put(StreamsConfig.producerPrefix("batch.size"), 1 << 17);
        return settings;
    }

    private static long committed(Admin client, String group) throws Exception {
        return client.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().values().stream()
            .mapToLong(offset -> offset.offset()).sum();
    }

    private static void report(String engine, Enricher enricher) throws IOException {
        double seconds = (System.nanoTime() - enricher.began) / 1e9;
        double cpu = (cpuNanos() - enricher.cpu) / 1e9;
        double kib = Files.readAllLines(Path.of("/proc/self/status")).stream()
            .filter(line -> line.startsWith("VmHWM:"))
            .mapToDouble(line -> Double.parseDouble(line.replaceAll("\\D", ""))).sum();
        String anomalies = new TreeMap<>(enricher.counts.entrySet().stream()
            .collect(Collectors.toMap(entry -> entry.getKey().toString(), Map.Entry::getValue)))
            .entrySet().stream()
            .map(entry -> "\"" + entry.getKey() + "\": " + entry.getValue())
            .collect(Collectors.joining(", ", "{", "}"));
        System.out.printf("{\"engine\": \"%s\", \"events\": %d, \"events_per_s\": %f, \"cpu_s_per_100k\": %f, "
            + "\"peak_mib\": %f, \"anomalies\": %s}%n",
            engine, enricher.events, enricher.events / seconds, cpu / enricher.events * 1e5, kib / 1024, anomalies);
    }

    /** Of every thread, the compiler's and the collector's too. */
    private static long cpuNanos() {
        return ((com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean())
            .getProcessCpuTime();
    }

    private static Map<Utf8, Key> keys() {
        Map<Utf8, Key> keys = new HashMap<>();
        for (int n = 0; n < 2000; n++) {
            if (n % 50 == 0) {
                continue;
            }
            Set<Utf8> scopes = new HashSet<>();
            for (int m = 0; m < 20; m++) {
                scopes.add(new Utf8("role-" + (n * 7 + m) % 200));
            }
            keys.put(new Utf8(String.format("pk_%05d", n)), new Key(
                new Utf8("owner-" + n % 97),
                new Utf8(n % 3 == 0 ? "human" : "service"),
                new Utf8(n % 40 == 0 ? "expired" : "active"),
                scopes));
        }
        return keys;
    }
}
