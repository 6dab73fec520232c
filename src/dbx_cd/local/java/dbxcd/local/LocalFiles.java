package dbxcd.local;

import java.io.IOException;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.nio.file.attribute.PosixFilePermissions;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.DelegateToFileSystem;
import org.apache.hadoop.fs.FileAlreadyExistsException;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.LocalFileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RawLocalFileSystem;
import org.apache.hadoop.fs.permission.FsPermission;

/**
 * The disk without a process for every file: where Hadoop has no native library, it starts {@code chmod} for each file
 * it writes, again for a file with that file's checksums, which nobody reads here, and {@code readlink} for what it
 * renames.
 */
public final class LocalFiles extends LocalFileSystem {
  public LocalFiles() {
    super(new Disk());
    setWriteChecksum(false);
    setVerifyChecksum(false);
  }

  /** The same for Hadoop's other interface to files, with which Delta writes its log. */
  public static final class Context extends DelegateToFileSystem {
    public Context(URI uri, Configuration configuration) throws IOException, URISyntaxException {
      super(uri, new LocalFiles(), configuration, "file", false);
    }

    /** Of two commits with one number one must fail, and a rename on this disk overwrites. Only this JVM writes here. */
    @Override
    public void renameInternal(Path source, Path target) throws IOException {
      synchronized (LocalFiles.class) {
        if (Files.exists(Paths.get(target.toUri().getPath()))) {
          throw new FileAlreadyExistsException(target + " exists");
        }
        super.renameInternal(source, target);
      }
    }
  }

  private static final class Disk extends RawLocalFileSystem {
    @Override
    public void setPermission(Path path, FsPermission permission) throws IOException {
      String symbols = new FsPermission((short) (permission.toShort() & 0777)).toString(); // no sticky bit
      Files.setPosixFilePermissions(pathToFile(path).toPath(), PosixFilePermissions.fromString(symbols));
    }

    @Override
    public FileStatus getFileLinkStatus(Path path) throws IOException {
      return Files.isSymbolicLink(pathToFile(path).toPath()) ? super.getFileLinkStatus(path) : getFileStatus(path);
    }
  }
}
