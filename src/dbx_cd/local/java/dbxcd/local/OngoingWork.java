package dbxcd.local;

import java.util.function.Predicate;

/** What this thread is amid. Spark tells a catalog what it shall do, and not for which statement. */
final class OngoingWork {
  private OngoingWork() {}

  /** Whether a method of a class whose full name begins so has been called and not ended. */
  static boolean isOf(String className) {
    return isAny(frame -> frame.getClassName().startsWith(className));
  }

  /** Whether a method that has been called and not ended is one of those. */
  static boolean isAny(Predicate<StackWalker.StackFrame> called) {
    return StackWalker.getInstance().walk(frames -> frames.anyMatch(called));
  }
}
