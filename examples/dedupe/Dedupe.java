import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.StringDeserializer;

/** Prints each event of a topic once, however often it was written: java Dedupe BOOTSTRAP TOPIC. */
public final class Dedupe {
    /** The newest id of each partition. Keep it with the results of your work. */
    private final Map<TopicPartition, long[]> newest = new HashMap<>();

    /** Whether an event is new, and if it is, remembers it. Rows of snapshots have no id and are always taken. */
    boolean isNew(ConsumerRecord<?, ?> record) {
        Header header = record.headers().lastHeader("tributary.event.id");
        if (header == null) {
            return true;
        }
        long[] id = parse(new String(header.value(), StandardCharsets.UTF_8));
        TopicPartition partition = new TopicPartition(record.topic(), record.partition());
        long[] before = newest.get(partition);
        if (before != null && Arrays.compareUnsigned(id, before) <= 0) {
            return false;
        }
        newest.put(partition, id);
        return true;
    }

    /** Reads {@code 0/16B3748:0/16B3700:0}, or the same with {@code .1} behind it. */
    static long[] parse(String id) {
        String[] record = id.split("\\.");
        String[] parts = record[0].split(":");
        long which = record.length > 1 ? Long.parseLong(record[1]) : 0;
        return new long[] {lsn(parts[0]), lsn(parts[1]), Long.parseLong(parts[2]), which};
    }

    private static long lsn(String text) {
        String[] halves = text.split("/");
        return (Long.parseLong(halves[0], 16) << 32) | Long.parseLong(halves[1], 16);
    }

    public static void main(String[] arguments) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", arguments[0]);
        properties.put("group.id", "dedupe-example");
        properties.put("auto.offset.reset", "earliest");
        Dedupe seen = new Dedupe();
        try (KafkaConsumer<String, String> consumer =
                new KafkaConsumer<>(properties, new StringDeserializer(), new StringDeserializer())) {
            consumer.subscribe(List.of(arguments[1]));
            while (true) {
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofSeconds(1))) {
                    if (seen.isNew(record)) {
                        System.out.println(record.value());
                    }
                }
            }
        }
    }
}
