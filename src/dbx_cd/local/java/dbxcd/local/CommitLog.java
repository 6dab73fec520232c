package dbxcd.local;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.delta.storage.HDFSLogStore;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Iterator;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;

/**
 * Writes Delta's log as Delta does, and into each commit the user of the session that makes it, as Databricks does:
 * open-source Delta leaves {@code userName} out. Delta makes a commit on the thread that runs the statement. The source
 * of a clone gets its three-level name.
 */
public final class CommitLog extends HDFSLogStore {
  /** How Delta begins that action; nothing else in its log begins so. */
  private static final String COMMIT_INFO = "{\"commitInfo\":";

  private static final ObjectMapper JSON = new ObjectMapper();

  /** Called by Delta. */
  public CommitLog(Configuration configuration) {
    super(configuration);
  }

  @Override
  public void write(Path path, Iterator<String> actions, Boolean overwrite, Configuration configuration)
      throws IOException {
    String user = SessionUser.active();
    java.nio.file.Path log = java.nio.file.Path.of(path.getParent().toUri().getPath());
    super.write(path, new Signed(actions, user, log), overwrite, configuration);
  }

  private record Signed(Iterator<String> actions, String user, java.nio.file.Path log) implements Iterator<String> {
    @Override
    public boolean hasNext() {
      return actions.hasNext();
    }

    @Override
    public String next() {
      String action = DeepClone.action(actions.next(), log);
      return action.startsWith(COMMIT_INFO) ? signed(action) : action;
    }

    private String signed(String action) {
      try {
        ObjectNode read = (ObjectNode) JSON.readTree(action);
        ObjectNode info = (ObjectNode) read.get("commitInfo");
        WrittenRows.remember(info);
        if (info.path("operationParameters") instanceof ObjectNode parameters && parameters.has("source")) {
          parameters.put("source", ShallowClones.ownName(parameters.get("source").asText()));
        }
        info.remove(List.of("userId", "userName")); // whoever wrote them, it was not this workspace
        if (user != null) {
          info.put("userName", user);
        }
        return JSON.writeValueAsString(read);
      } catch (JsonProcessingException e) {
        throw new UncheckedIOException(e);
      }
    }
  }
}
