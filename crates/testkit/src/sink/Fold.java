import java.time.Duration;
import java.util.List;
import java.util.Properties;
import java.util.StringJoiner;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.formats.common.TimestampFormat;
import org.apache.flink.formats.json.debezium.DebeziumJsonDeserializationSchema;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.metrics.groups.UnregisteredMetricsGroup;
import org.apache.flink.table.api.DataTypes;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.runtime.typeutils.InternalTypeInfo;
import org.apache.flink.table.types.DataType;
import org.apache.flink.util.Collector;
import org.apache.flink.util.SimpleUserCodeClassLoader;
import org.apache.flink.util.UserCodeClassLoader;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Reads one topic with Kafka's own consumer and Flink's debezium-json format, and prints the changelog Flink makes of it: the kind of row, a tab,
 * and its fields, tab-separated. Arguments: bootstrap servers, topic, whether messages include their schema.
 */
public final class Fold {
    private static final DataType ROW = DataTypes.ROW(
            DataTypes.FIELD("id", DataTypes.BIGINT().notNull()),
            DataTypes.FIELD("name", DataTypes.STRING()),
            DataTypes.FIELD("amount", DataTypes.DECIMAL(12, 2)),
            DataTypes.FIELD("ratio", DataTypes.DOUBLE()),
            DataTypes.FIELD("paid", DataTypes.BOOLEAN()),
            DataTypes.FIELD("placed_at", DataTypes.BIGINT()),
            DataTypes.FIELD("day", DataTypes.INT()));

    public static void main(String[] arguments) throws Exception {
        var format = new DebeziumJsonDeserializationSchema(ROW, List.of(), InternalTypeInfo.of(ROW.getLogicalType()),
                Boolean.parseBoolean(arguments[2]), false, TimestampFormat.ISO_8601);
        format.open(new Context());
        var output = new StringBuilder();
        var rows = new Rows(output);
        var properties = new Properties();
        properties.put("bootstrap.servers", arguments[0]);
        properties.put("isolation.level", "read_committed");
        properties.put("enable.auto.commit", "false");
        try (var consumer = new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            var partition = new TopicPartition(arguments[1], 0);
            consumer.assign(List.of(partition));
            consumer.seekToBeginning(List.of(partition));
            long end = consumer.endOffsets(List.of(partition)).get(partition);
            while (consumer.position(partition) < end) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofSeconds(1))) {
                    format.deserialize(record.value(), rows);
                }
            }
        }
        System.out.print(output);
    }

    private record Rows(StringBuilder output) implements Collector<RowData> {
        @Override
        public void collect(RowData row) {
            var fields = new StringJoiner("\t", row.getRowKind().shortString() + "\t", "\n");
            fields.add(Long.toString(row.getLong(0)));
            fields.add(row.isNullAt(1) ? "null" : row.getString(1).toString());
            fields.add(row.isNullAt(2) ? "null" : row.getDecimal(2, 12, 2).toString());
            fields.add(row.isNullAt(3) ? "null" : Double.toString(row.getDouble(3)));
            fields.add(row.isNullAt(4) ? "null" : Boolean.toString(row.getBoolean(4)));
            fields.add(row.isNullAt(5) ? "null" : Long.toString(row.getLong(5)));
            fields.add(row.isNullAt(6) ? "null" : Integer.toString(row.getInt(6)));
            output.append(fields);
        }

        @Override
        public void close() {
        }
    }

    private static final class Context implements DeserializationSchema.InitializationContext {
        @Override
        public MetricGroup getMetricGroup() {
            return new UnregisteredMetricsGroup();
        }

        @Override
        public UserCodeClassLoader getUserCodeClassLoader() {
            return SimpleUserCodeClassLoader.create(Fold.class.getClassLoader());
        }
    }
}
