import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.Callable;
import org.sourcelab.kafka.connect.apiclient.Configuration;
import org.sourcelab.kafka.connect.apiclient.KafkaConnectClient;
import org.sourcelab.kafka.connect.apiclient.request.dto.ConnectorPluginConfigDefinition;
import org.sourcelab.kafka.connect.apiclient.request.dto.NewConnectorDefinition;
import org.sourcelab.kafka.connect.apiclient.request.post.PostConnectorRestart;

/**
 * Every call of kafka-connect-client, one after the other, on the worker at the first argument; the second names the connector, the rest is its
 * configuration as key=value. Each call is a line: its name, 0 or 1, and what came of it as JSON, with tabs between.
 */
public class Calls {
    static final ObjectMapper JSON = new ObjectMapper();
    static final String CLASS = "io.debezium.connector.postgresql.PostgresConnector";
    static KafkaConnectClient client;
    static String name;

    public static void main(String[] arguments) throws Exception {
        client = new KafkaConnectClient(new Configuration(arguments[0]));
        name = arguments[1];
        Map<String, String> config = new HashMap<>();
        for (int i = 2; i < arguments.length; i++) {
            String[] pair = arguments[i].split("=", 2);
            config.put(pair[0], pair[1]);
        }
        Map<String, String> named = new HashMap<>(config);
        named.put("name", name);
        call("getConnectServerVersion", () -> client.getConnectServerVersion());
        call("getConnectors", () -> client.getConnectors());
        call("getConnectorPlugins", () -> client.getConnectorPlugins());
        call("validateConnectorPluginConfig",
            () -> client.validateConnectorPluginConfig(new ConnectorPluginConfigDefinition(CLASS, named)));
        call("validateConnectorPluginConfig of a bad one", () -> client.validateConnectorPluginConfig(
            new ConnectorPluginConfigDefinition(CLASS, Map.of("connector.class", CLASS, "database.port", "many"))));
        call("addConnector of a bad one",
            () -> client.addConnector(new NewConnectorDefinition(name, Map.of("connector.class", CLASS))));
        call("addConnector", () -> client.addConnector(new NewConnectorDefinition(name, config)));
        until("RUNNING");
        call("addConnector again", () -> client.addConnector(new NewConnectorDefinition(name, config)));
        call("getConnectors of one", () -> client.getConnectors());
        call("getConnectorsWithExpandedStatus", () -> client.getConnectorsWithExpandedStatus());
        call("getConnectorsWithExpandedInfo", () -> client.getConnectorsWithExpandedInfo());
        call("getConnectorsWithAllExpandedMetadata", () -> client.getConnectorsWithAllExpandedMetadata());
        call("getConnector", () -> client.getConnector(name));
        call("getConnectorConfig", () -> client.getConnectorConfig(name));
        call("getConnectorStatus", () -> client.getConnectorStatus(name));
        call("getConnectorTasks", () -> client.getConnectorTasks(name));
        call("getConnectorTaskStatus", () -> client.getConnectorTaskStatus(name, 0));
        call("getConnectorTopics", () -> client.getConnectorTopics(name));
        call("resetConnectorTopics", () -> client.resetConnectorTopics(name));
        config.put("poll.interval.ms", "400");
        call("updateConnectorConfig", () -> client.updateConnectorConfig(name, config));
        until("RUNNING");
        Map<String, String> shown = client.getConnectorConfig(name);
        shown.put("poll.interval.ms", "300");
        call("updateConnectorConfig with what was read", () -> client.updateConnectorConfig(name, shown));
        until("RUNNING");
        call("restartConnector", () -> client.restartConnector(name));
        until("RUNNING");
        call("restartConnector with tasks", () -> client.restartConnector(
            new PostConnectorRestart(name).withIncludeTasks(true).withOnlyFailed(false)));
        until("RUNNING");
        call("restartConnectorTask", () -> client.restartConnectorTask(name, 0));
        until("RUNNING");
        call("pauseConnector", () -> client.pauseConnector(name));
        until("PAUSED");
        call("resumeConnector", () -> client.resumeConnector(name));
        until("RUNNING");
        call("stopConnector", () -> client.stopConnector(name));
        until("STOPPED");
        call("deleteConnector", () -> client.deleteConnector(name));
        call("getConnector of none", () -> client.getConnector(name));
        call("deleteConnector of none", () -> client.deleteConnector(name));
        System.exit(0);
    }

    static void call(String say, Callable<Object> call) throws Exception {
        Object result;
        try {
            result = call.call();
        } catch (Exception refused) {
            System.out.println(say + "\t1\t" + JSON.writeValueAsString(refused.getClass().getSimpleName()));
            return;
        }
        String line;
        try {
            line = JSON.writeValueAsString(result);
        } catch (Exception cannotBeJson) {
            line = JSON.writeValueAsString(result.getClass().getSimpleName() + " of " + result.toString().contains(name));
        }
        System.out.println(say + "\t0\t" + line);
    }

    /** Waits until the connector and its tasks are in a state. */
    static void until(String state) throws Exception {
        for (int i = 0; i < 600; i++) {
            try {
                var status = client.getConnectorStatus(name);
                boolean is = state.equals(status.getConnector().get("state"));
                for (var task : status.getTasks()) {
                    is &= state.equals(task.getState());
                }
                if (is && (!state.equals("RUNNING") || !status.getTasks().isEmpty())) {
                    return;
                }
            } catch (Exception notYet) {
                // It has no status before somebody has it.
            }
            Thread.sleep(100);
        }
        throw new IllegalStateException(name + " is never " + state);
    }
}
