package dbxcd.local;

import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * REFERENCES without columns means the parent's primary key. Spark 4.2's parser fails there with a
 * NullPointerException, so it is given a name to read that no column has.
 */
final class ReferencedKeys {
  /** The columns of a foreign key that names none. */
  static final List<String> NONE = List.of("__primary_key__");

  private static final String NAME = "(?:`(?:[^`]|``)++`|\\w++)";
  private static final Pattern KEYWORD =
      Pattern.compile("\\breferences\\b", Pattern.CASE_INSENSITIVE);
  private static final Pattern KEYS =
      Pattern.compile("\\b(?:create|alter|replace)\\b.*\\btable\\b", Pattern.CASE_INSENSITIVE | Pattern.DOTALL);
  private static final Pattern WITHOUT_COLUMNS =
      Pattern.compile(
          "'(?:[^'\\\\]|\\\\.)*+'|\"(?:[^\"\\\\]|\\\\.)*+\"|`(?:[^`]|``)*+`|--[^\\n]*+|/\\*.*?\\*/"
              + "|(\\breferences\\s++"
              + NAME
              + "(?:\\s*+\\.\\s*+"
              + NAME
              + ")*+)(?!\\s*+[.(])",
          Pattern.CASE_INSENSITIVE | Pattern.DOTALL);

  private ReferencedKeys() {}

  /** The statement with columns wherever a foreign key has none. */
  static String written(String sql) {
    if (!KEYWORD.matcher(sql).find() || !KEYS.matcher(sql).find()) {
      return sql;
    }
    Matcher matcher = WITHOUT_COLUMNS.matcher(sql);
    return matcher.replaceAll(
        found ->
            Matcher.quoteReplacement(
                found.group(1) == null ? found.group() : found.group(1) + " (" + NONE.get(0) + ")"));
  }
}
