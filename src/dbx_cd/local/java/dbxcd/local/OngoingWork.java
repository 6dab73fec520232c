package dbxcd.local;

/** What this thread is amid. Spark tells a catalog what it shall do, and not for which statement. */
final class OngoingWork {
  private OngoingWork() {}

  /** Whether a method of a class whose full name begins so has been called and not ended. */
  static boolean isOf(String className) {
    return StackWalker.getInstance()
        .walk(frames -> frames.anyMatch(frame -> frame.getClassName().startsWith(className)));
  }
}
