package dbxcd.local;

import dbxcd.local.Contents.Namespace;
import dbxcd.local.Contents.StoredVolume;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;
import java.util.stream.Stream;
import org.apache.hadoop.fs.FileUtil;

/**
 * The volumes that were created. The files of {@code ops.dbt_meta.artifacts} lie in the folder {@code
 * ops/dbt_meta/artifacts} below one root, which is there as long as the volume is.
 */
final class Volumes {
  private final Path root;
  private final Runnable save;
  private final List<StoredVolume> volumes = new ArrayList<>();

  /** {@code save} is called after each change, while no lock of this object is held. */
  Volumes(Path root, Runnable save) {
    this.root = root;
    this.save = save;
  }

  /** Takes what the registry file holds; a file that is older than volumes are holds null, and their folders count. */
  synchronized void restore(List<StoredVolume> stored) throws IOException {
    volumes.addAll(stored == null ? found() : stored);
    for (StoredVolume volume : volumes) {
      Files.createDirectories(folder(volume));
    }
  }

  private List<StoredVolume> found() throws IOException {
    if (!Files.isDirectory(root)) {
      return List.of();
    }
    try (Stream<Path> folders = Files.walk(root, 3)) {
      return folders
          .filter(folder -> Files.isDirectory(folder) && root.relativize(folder).getNameCount() == 3)
          .map(root::relativize)
          .map(Volumes::nameless)
          .toList();
    }
  }

  private static StoredVolume nameless(Path name) {
    String[] parts = {name.getName(0).toString(), name.getName(1).toString(), name.getName(2).toString()};
    return new StoredVolume(parts[0], parts[1], parts[2], null, System.currentTimeMillis(), null);
  }

  synchronized List<StoredVolume> all() {
    return List.copyOf(volumes);
  }

  List<StoredVolume> of(String catalog, String schema) {
    return all().stream().filter(v -> v.catalog().equals(catalog) && v.schema().equals(schema)).toList();
  }

  /** {@code name} has three parts. */
  Optional<StoredVolume> find(List<String> name) {
    return all().stream().filter(is(name)).findFirst();
  }

  Path folder(StoredVolume volume) {
    return root.resolve(volume.catalog()).resolve(volume.schema()).resolve(volume.name());
  }

  /** False when there is one of that name already. */
  boolean create(StoredVolume volume) {
    synchronized (this) {
      if (find(name(volume)).isPresent()) {
        return false;
      }
      try {
        Files.createDirectories(folder(volume));
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
      volumes.add(volume);
    }
    save.run();
    return true;
  }

  void comment(List<String> name, String comment) {
    synchronized (this) {
      volumes.replaceAll(
          v ->
              is(name).test(v)
                  ? new StoredVolume(v.catalog(), v.schema(), v.name(), comment, v.created(), v.createdBy())
                  : v);
    }
    save.run();
  }

  /** Removes it with its files; false when there is none. */
  boolean drop(List<String> name) {
    boolean dropped = forget(is(name));
    if (dropped) {
      save.run();
    }
    return dropped;
  }

  /** Its schema was dropped; who calls saves. */
  void forgetSchema(Namespace dropped) {
    if (dropped != null) {
      forget(v -> v.catalog().equals(dropped.catalog()) && v.schema().equals(dropped.schema()));
    }
  }

  private synchronized boolean forget(Predicate<StoredVolume> which) {
    List<StoredVolume> gone = volumes.stream().filter(which).toList();
    gone.forEach(volume -> FileUtil.fullyDelete(folder(volume).toFile()));
    return volumes.removeAll(gone);
  }

  static List<String> name(StoredVolume volume) {
    return List.of(volume.catalog(), volume.schema(), volume.name());
  }

  private static Predicate<StoredVolume> is(List<String> name) {
    return volume -> name(volume).equals(name);
  }
}
