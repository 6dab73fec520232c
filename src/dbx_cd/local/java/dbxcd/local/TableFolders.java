package dbxcd.local;

import java.io.IOException;
import java.nio.file.Path;

/** Whether files are a table's, however their path is written: with a scheme, {@code ..}, or through links. */
final class TableFolders {
  private final Path written;
  private final Path real;

  private TableFolders(Path written) {
    this.written = written;
    this.real = real(written);
  }

  static TableFolders of(org.apache.hadoop.fs.Path path) {
    return new TableFolders(Path.of(path.toUri().getPath()).toAbsolutePath().normalize());
  }

  /** Whether the path lies in a folder, is it, or is a folder that this one lies in, whose readers get at it, too. */
  boolean touch(String location) {
    Path folder = Recovery.localPath(location);
    return meet(written, folder) || meet(real, real(folder));
  }

  private static boolean meet(Path one, Path other) {
    return one.startsWith(other) || other.startsWith(one);
  }

  /** Without links in what is there of it. */
  private static Path real(Path path) {
    try {
      return path.toRealPath();
    } catch (IOException e) {
      Path parent = path.getParent();
      return parent == null ? path : real(parent).resolve(path.getFileName());
    }
  }
}
