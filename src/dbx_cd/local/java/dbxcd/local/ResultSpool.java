package dbxcd.local;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.Serializable;
import java.io.UncheckedIOException;
import java.nio.channels.Channels;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.apache.arrow.vector.ipc.WriteChannel;
import org.apache.arrow.vector.ipc.message.MessageSerializer;
import org.apache.spark.TaskContext;
import org.apache.spark.rdd.RDD;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.classic.Dataset;
import org.apache.spark.sql.execution.SQLExecution;
import org.apache.spark.sql.util.ArrowUtils;
import scala.Option;
import scala.collection.Iterator;
import scala.reflect.ClassTag$;
import scala.runtime.AbstractFunction2;

/**
 * The rows of a query as Arrow batches, for a reader in another process of this machine: what is small is handed over
 * in one answer, and the rest is written to files batch by batch, so that no result is ever in the JVM's memory whole.
 */
public final class ResultSpool {
  private ResultSpool() {}

  /** What one partition of the result gave: a few bytes, or how long each batch in its file is. */
  private record Part(byte[] bytes, int[] sizes, String file) implements Serializable {}

  /**
   * Runs a query.
   *
   * @param folder where files may be written, one for each partition
   * @param inline how many bytes of a partition are handed over without a file
   * @return the schema as Arrow writes it; then for each partition its bytes or null, the sizes of the batches in them
   *     (as text), and its file or null
   */
  public static Object[] collect(Dataset<Row> frame, String folder, int inline) throws IOException {
    var plan = frame.queryExecution();
    Object[] parts =
        SQLExecution.withNewExecutionId(
            plan, Option.apply("result"), () -> run(frame, folder, inline));
    List<Object> answer = new ArrayList<>(List.of(schemaOf(frame)));
    for (Object part : parts) {
      Part done = (Part) part;
      List<String> sizes = new ArrayList<>();
      for (int size : done.sizes()) {
        sizes.add(Integer.toString(size));
      }
      answer.add(done.bytes());
      answer.add(String.join(",", sizes));
      answer.add(done.file());
    }
    return answer.toArray();
  }

  private static Object[] run(Dataset<Row> frame, String folder, int inline) {
    RDD<byte[]> batches = frame.toArrowBatchRdd(frame.queryExecution().executedPlan());
    return (Object[])
        frame
            .sparkSession()
            .sparkContext()
            .runJob(batches, new Write(folder, inline), ClassTag$.MODULE$.apply(Part.class));
  }

  private static byte[] schemaOf(Dataset<Row> frame) throws IOException {
    var conf = frame.sparkSession().sessionState().conf();
    var schema =
        ArrowUtils.toArrowSchema(
            frame.schema(), conf.sessionLocalTimeZone(), false, conf.arrowUseLargeVarTypes());
    var bytes = new ByteArrayOutputStream();
    MessageSerializer.serialize(new WriteChannel(Channels.newChannel(bytes)), schema);
    return bytes.toByteArray();
  }

  /** What each task does with its batches. */
  private static final class Write extends AbstractFunction2<TaskContext, Iterator<byte[]>, Part>
      implements Serializable {
    private final String folder;
    private final int inline;

    Write(String folder, int inline) {
      this.folder = folder;
      this.inline = inline;
    }

    @Override
    public Part apply(TaskContext task, Iterator<byte[]> batches) {
      var first = new ByteArrayOutputStream();
      List<Integer> sizes = new ArrayList<>();
      while (batches.hasNext() && first.size() <= inline) {
        byte[] batch = batches.next();
        first.writeBytes(batch);
        sizes.add(batch.length);
      }
      if (!batches.hasNext() && first.size() <= inline) {
        return new Part(first.toByteArray(), numbers(sizes), null);
      }
      // Of its own for each attempt: one that was ended may still be writing.
      Path file = Path.of(folder, task.partitionId() + "-" + task.taskAttemptId());
      try (OutputStream out = Files.newOutputStream(file)) {
        first.writeTo(out);
        while (batches.hasNext()) {
          byte[] batch = batches.next();
          out.write(batch);
          sizes.add(batch.length);
        }
      } catch (IOException e) {
        throw new UncheckedIOException("a result cannot be kept in " + folder, e);
      }
      return new Part(null, numbers(sizes), file.toString());
    }

    private static int[] numbers(List<Integer> sizes) {
      return sizes.stream().mapToInt(Integer::intValue).toArray();
    }
  }
}
