package dbxcd.local.rights;

/** What rights are granted on, as Unity Catalog has it; a view is a table here, as in its messages. */
public enum SecurableKind {
  METASTORE(0, "Metastore"),
  CATALOG(1, "Catalog"),
  SCHEMA(2, "Schema"),
  TABLE(3, "Table"),
  VOLUME(3, "Volume"),
  FUNCTION(3, "Routine or Model");

  final int parts;
  final String shown;

  SecurableKind(int parts, String shown) {
    this.parts = parts;
    this.shown = shown;
  }
}
