import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.Set;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** Commits and reads one position with Kafka's own client: commit|read BOOTSTRAP GROUP TOPIC [OFFSET METADATA].
 *  GROUP and METADATA are Base64 of UTF-8. */
public class JavaPositions {
    public static void main(String[] arguments) throws Exception {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", arguments[1]);
        String group = text(arguments[2]);
        TopicPartition place = new TopicPartition(arguments[3], 0);
        if (arguments[0].equals("commit")) {
            settings.put("group.id", group);
            settings.put("enable.auto.commit", "false");
            var bytes = new ByteArrayDeserializer();
            try (var consumer = new KafkaConsumer<byte[], byte[]>(settings, bytes, bytes)) {
                consumer.assign(Set.of(place));
                var position = new OffsetAndMetadata(Long.parseLong(arguments[4]), Optional.empty(), text(arguments[5]));
                consumer.commitSync(Map.of(place, position));
            }
            return;
        }
        try (Admin admin = Admin.create(settings)) {
            var found = admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().get(place);
            var metadata = found.metadata().getBytes(StandardCharsets.UTF_8);
            System.out.println("position " + found.offset() + " " + Base64.getEncoder().encodeToString(metadata));
        }
    }

    private static String text(String encoded) {
        return new String(Base64.getDecoder().decode(encoded), StandardCharsets.UTF_8);
    }
}
