package dbxcd.local;

/** Lets Spark's checked exceptions through interfaces that do not declare them. */
final class Exceptions {
  private Exceptions() {}

  static RuntimeException unchecked(Throwable error) {
    return Exceptions.<RuntimeException>raise(error);
  }

  @SuppressWarnings("unchecked")
  private static <E extends Throwable> E raise(Throwable error) throws E {
    throw (E) error;
  }
}
