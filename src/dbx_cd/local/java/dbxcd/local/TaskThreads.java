package dbxcd.local;

import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.spark.SparkContext;

/**
 * The threads of this JVM that work for a notebook task. Py4j has one for each thread of the notebook's process, and it
 * lives on after that process was killed, until what it does has ended: a commit, say. So a task has ended when its
 * process has and none of these lives.
 */
public final class TaskThreads {
  private static final Map<String, Set<Thread>> OF_TASK = new ConcurrentHashMap<>();
  private static final Set<String> ENDED = ConcurrentHashMap.newKeySet();

  private TaskThreads() {}

  /**
   * Says that the calling thread works for a task: the Spark jobs that it starts from now on are in the task's job
   * group, and have its name as a tag. It takes the context because SQL's {@code reflect()} could call it with text alone.
   *
   * @throws IllegalStateException the task has ended
   */
  public static void enter(SparkContext context, String task) {
    OF_TASK.computeIfAbsent(task, none -> ConcurrentHashMap.newKeySet()).add(Thread.currentThread());
    if (ENDED.contains(task)) {
      throw new IllegalStateException("the task " + task + " has ended");
    }
    context.setJobGroup(task, task, true);
    context.addJobTag(task); // which stays where the notebook's own code gives its jobs another group
  }

  /**
   * Takes no more threads of a task, and cancels the Spark jobs of those that it has. To be called until none lives: a
   * cancellation between two jobs of one statement finds none, and the next job would run to its end.
   *
   * @return how many of its threads live
   */
  public static int end(SparkContext context, String task) {
    ENDED.add(task);
    Set<Thread> threads = OF_TASK.get(task);
    if (threads == null) {
      return 0;
    }
    threads.removeIf(thread -> !thread.isAlive());
    if (!threads.isEmpty()) {
      context.cancelJobsWithTag(task);
    }
    return threads.size();
  }
}
