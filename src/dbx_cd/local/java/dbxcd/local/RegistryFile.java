package dbxcd.local;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.concurrent.locks.LockSupport;
import org.apache.spark.scheduler.SparkListener;
import org.apache.spark.scheduler.SparkListenerApplicationEnd;

/** The registry on disk: one JSON file, always whole. A reader sees the old or the new one. */
final class RegistryFile implements AutoCloseable {
  private static final ObjectMapper JSON =
      new ObjectMapper().enable(SerializationFeature.INDENT_OUTPUT);

  /** The JVM of a killed process lives on for a moment. */
  private static final Duration PATIENCE = Duration.ofSeconds(15);

  private final Path path;
  private final FileChannel lock;

  /** Takes the file for this process; the system gives it back when the process ends. */
  RegistryFile(Path path) throws IOException {
    this.path = path;
    Files.createDirectories(path.getParent());
    lock =
        FileChannel.open(
            path.resolveSibling(path.getFileName() + ".lock"),
            StandardOpenOption.CREATE,
            StandardOpenOption.WRITE);
    if (!lockedWithin(PATIENCE)) {
      lock.close();
      throw new IOException(path.getParent() + " is in use by another process");
    }
  }

  private boolean lockedWithin(Duration patience) throws IOException {
    long deadline = System.nanoTime() + patience.toNanos();
    while (!locked()) {
      if (System.nanoTime() > deadline) {
        return false;
      }
      LockSupport.parkNanos(Duration.ofMillis(100).toNanos());
    }
    return true;
  }

  private boolean locked() throws IOException {
    try {
      return lock.tryLock() != null;
    } catch (OverlappingFileLockException e) {
      return false; // this JVM has it already
    }
  }

  @Override
  public void close() throws IOException {
    lock.close();
  }

  Contents read() throws IOException {
    if (!Files.exists(path)) {
      return Contents.empty();
    }
    Contents contents = JSON.readValue(path.toFile(), Contents.class);
    if (contents.format() > Contents.FORMAT) {
      throw new IOException(
          path + " has format " + contents.format() + ", written by a newer version of dbx_cd");
    }
    return contents;
  }

  /** Writes a new file beside the old one, forces it to disk and renames it over the old one. */
  void write(Contents contents) throws IOException {
    Path next = path.resolveSibling(path.getFileName() + ".next");
    ByteBuffer bytes = ByteBuffer.wrap(JSON.writeValueAsBytes(contents));
    try (FileChannel out =
        FileChannel.open(
            next,
            StandardOpenOption.CREATE,
            StandardOpenOption.TRUNCATE_EXISTING,
            StandardOpenOption.WRITE)) {
      while (bytes.hasRemaining()) {
        out.write(bytes);
      }
      out.force(true);
    }
    Files.move(next, path, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
  }

  /** Lets another process have the file once this application has stopped. */
  SparkListener closeAtEnd() {
    return new SparkListener() {
      @Override
      public void onApplicationEnd(SparkListenerApplicationEnd end) {
        try {
          close();
        } catch (IOException e) {
          throw new UncheckedIOException(e);
        }
      }
    };
  }
}
