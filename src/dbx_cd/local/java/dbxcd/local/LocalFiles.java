package dbxcd.local;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.attribute.PosixFilePermissions;
import org.apache.hadoop.fs.LocalFileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RawLocalFileSystem;
import org.apache.hadoop.fs.permission.FsPermission;

/**
 * The disk without a process for every file: where Hadoop has no native library, it starts {@code chmod} for each file
 * it writes, and again for a file with the checksums of that file, which nobody reads here.
 */
public final class LocalFiles extends LocalFileSystem {
  public LocalFiles() {
    super(new Disk());
    setWriteChecksum(false);
    setVerifyChecksum(false);
  }

  private static final class Disk extends RawLocalFileSystem {
    @Override
    public void setPermission(Path path, FsPermission permission) throws IOException {
      String symbols = new FsPermission(permission.toShort() & 0777).toString(); // no sticky bit
      Files.setPosixFilePermissions(
          pathToFile(path).toPath(), PosixFilePermissions.fromString(symbols));
    }
  }
}
