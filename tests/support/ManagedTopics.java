import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.apache.kafka.common.errors.PolicyViolationException;
import org.apache.kafka.server.policy.AlterConfigPolicy;
import org.apache.kafka.server.policy.CreateTopicPolicy;

/**
 * What managed clusters allow their users to set on topics. The name of the rule is in the file that the system property
 * `managed.rule` names, and is read for every request, so that one broker can have each rule in turn.
 */
public class ManagedTopics implements AlterConfigPolicy, CreateTopicPolicy {
    private static final Set<String> SIX =
        Set.of(
            "cleanup.policy", "max.message.bytes", "min.insync.replicas", "retention.bytes", "retention.ms",
            "segment.bytes");
    private static final long WEEK_MS = 7L * 24 * 3600 * 1000;

    @Override
    public void validate(AlterConfigPolicy.RequestMetadata request) {
        check(request.configs());
    }

    @Override
    public void validate(CreateTopicPolicy.RequestMetadata request) {
        check(request.configs());
    }

    private static void check(Map<String, String> configs) {
        switch (rule()) {
            case "only_six":
                Set<String> others = new TreeSet<>(configs.keySet());
                others.removeAll(SIX);
                if (!others.isEmpty()) refuse(String.join(", ", others) + " cannot be changed on this plan");
                break;
            case "small_batches":
                long bytes = number(configs, "max.message.bytes");
                if (bytes > 8L << 20) refuse("max.message.bytes " + bytes + " is more than 8388608");
                break;
            case "fixed_policy":
                if (configs.containsKey("cleanup.policy")) refuse("cleanup.policy cannot be changed");
                break;
            case "week":
                long age = number(configs, "retention.ms");
                if (age < 0 || age > WEEK_MS) refuse("retention.ms " + age + " is more than 7 days");
                break;
            default:
                break;
        }
    }

    private static long number(Map<String, String> configs, String name) {
        String value = configs.get(name);
        return value == null ? 0 : Long.parseLong(value);
    }

    private static void refuse(String reason) {
        throw new PolicyViolationException(reason);
    }

    private static String rule() {
        try {
            return Files.readString(Path.of(System.getProperty("managed.rule"))).trim();
        } catch (IOException error) {
            throw new IllegalStateException(error);
        }
    }

    @Override
    public void configure(Map<String, ?> configs) {}

    @Override
    public void close() {}
}
